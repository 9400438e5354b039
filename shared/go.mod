module github.com/sluicehq/sluice/shared

go 1.26.8

require (
	github.com/caarlos0/env/v11 v11.4.2
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/jackc/pgx/v5 v5.12.0
	github.com/klauspost/compress v1.20.3
	github.com/nats-io/nats-server/v2 v2.15.2
	github.com/nats-io/nats.go v1.55.0
	github.com/rs/zerolog v1.35.1
	github.com/sluicehq/sluice/migrations v0.0.0
	github.com/stretchr/testify v1.12.1
	github.com/ulikunitz/xz v0.5.17
	go.uber.org/goleak v1.3.0
	golang.org/x/sync v0.24.0
	golang.org/x/time v0.16.0
)

require (
	github.com/compose-spec/compose-go/v2 v2.16.2 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
)

replace github.com/sluicehq/sluice/migrations => ../migrations
