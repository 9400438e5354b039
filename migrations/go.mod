module github.com/sluicehq/sluice/migrations

go 1.26.8

require github.com/pressly/goose/v3 v3.29.0
