package bus

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/shared/failure"
)

// claimChunk is the size of an object's pieces, in bytes.
const claimChunk = 128 << 10

// putClaim leaves data in the object store and returns its name there, which is new each
// time: two messages never share an object, since whoever handles one deletes its object.
// What is never collected goes away with the bucket's age.
func (b *Bus) putClaim(ctx context.Context, data []byte) (string, error) {
	name := rand.Text()
	err := b.persist(ctx, "body to the object store", func(ctx context.Context) error {
		store, err := b.js.ObjectStore(ctx, claimBucket)
		if err != nil {
			return err
		}
		chunk := min(claimChunk, int(b.nc.MaxPayload())-payloadMargin)
		meta := jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: uint32(chunk)}} //nolint:gosec // between 0 and claimChunk
		_, err = store.Put(ctx, meta, bytes.NewReader(data))
		return err
	})
	return name, err
}

// claim fetches an object. The error has the code failure.ClaimMissing and is permanent when
// the object is gone.
func (b *Bus) claim(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout*2)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, claimBucket)
	if err != nil {
		return nil, fmt.Errorf("open the object store: %w", err)
	}
	object, err := store.Get(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, Permanent(failure.New(failure.ClaimMissing, "the body is no longer in the object store"))
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the body from the object store: %w", err)
	}
	defer func() { _ = object.Close() }()
	data, err := io.ReadAll(io.LimitReader(object, maxDocument+1))
	if err == nil {
		err = object.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("read the body from the object store: %w", err)
	}
	if len(data) > maxDocument {
		return nil, Permanent(failure.New(failure.BadEvent, "the body in the object store is larger than %d bytes", maxDocument))
	}
	return data, nil
}

// dropClaim deletes an object. That it stays behind costs room for a day and nothing else.
func (b *Bus) dropClaim(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, claimBucket)
	if err == nil {
		err = store.Delete(ctx, name)
	}
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		b.log.Debug().Err(err).Msg("a collected body stays in the object store until it expires")
	}
}
