package bus

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/shared/failure"
)

// claimChunk is the size of an object's pieces, in bytes.
const claimChunk = 128 << 10

// putClaim stores data in the object store and returns its name there, which is new each time: two
// messages never share an object, because the handler of a message deletes its object. Uncollected
// objects expire with the bucket's maximum age.
func (b *Bus) putClaim(ctx context.Context, data []byte) (string, error) {
	name := rand.Text()
	err := b.persist(ctx, "body to the object store", func(ctx context.Context) error {
		store, err := b.js.ObjectStore(ctx, b.p.name(claimBucket))
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

// claim fetches an object. If the object no longer exists, the error has the code failure.ClaimMissing
// and is permanent.
func (b *Bus) claim(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout*2)
	defer cancel()
	stream, err := b.js.Stream(ctx, b.p.claims())
	if err != nil {
		return nil, fmt.Errorf("open the object store: %w", err)
	}
	meta, err := stream.GetLastMsgForSubject(ctx, "$O."+b.p.name(claimBucket)+".M."+base64.URLEncoding.EncodeToString([]byte(name)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, claimGone()
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the body from the object store: %w", err)
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(meta.Data, &info); err != nil {
		return nil, fmt.Errorf("read the body from the object store: %w", err)
	}
	switch {
	case info.Deleted:
		return nil, claimGone()
	case info.Size > maxDocument:
		return nil, Permanent(failure.New(failure.BadEvent, "the body in the object store is larger than %d bytes", maxDocument))
	}
	return b.pieces(ctx, stream, info)
}

func claimGone() error {
	return Permanent(failure.New(failure.ClaimMissing, "the body is no longer in the object store"))
}

// pieces requests an object's pieces one by one. The client would create a consumer for them, which a
// service must not be allowed to: see Stage.Permissions.
func (b *Bus) pieces(ctx context.Context, stream jetstream.Stream, info jetstream.ObjectInfo) ([]byte, error) {
	data := make([]byte, 0, info.Size)
	of := jetstream.WithGetMsgSubject("$O." + b.p.name(claimBucket) + ".C." + info.NUID)
	next := uint64(1)
	for range info.Chunks {
		piece, err := stream.GetMsg(ctx, next, of)
		if err != nil {
			return nil, fmt.Errorf("read the body from the object store: %w", err)
		}
		if len(data)+len(piece.Data) > maxDocument {
			return nil, Permanent(failure.New(failure.BadEvent, "the body in the object store is larger than %d bytes", maxDocument))
		}
		data, next = append(data, piece.Data...), piece.Sequence+1
	}
	sum := sha256.Sum256(data)
	if info.Digest != "SHA-256="+base64.URLEncoding.EncodeToString(sum[:]) {
		return nil, errors.New("read the body from the object store: it is not what was stored")
	}
	return data, nil
}

// dropClaim deletes an object. If that fails, the object only uses space for a day.
func (b *Bus) dropClaim(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, b.p.name(claimBucket))
	if err == nil {
		err = store.Delete(ctx, name)
	}
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		b.log.Debug().Err(err).Msg("a collected body stays in the object store until it expires")
	}
}
