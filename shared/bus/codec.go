package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/fastjson"
	"github.com/sluicehq/sluice/shared/page"
)

// The headers of a message. A message without them is plain JSON, and its subject contains its type.
const (
	headerEvent    = "Sluice-Event"
	headerEncoding = "Sluice-Encoding"
	headerClaim    = "Sluice-Claim"
	headerSize     = "Sluice-Size" // of the JSON, in bytes, if it is compressed

	encodingZstd = "zstd"
)

const (
	// compressAbove is the size of JSON, in bytes, above which compression pays.
	compressAbove = 1 << 10
	// maxDocument limits the JSON of one event, in bytes, whatever its compressed size.
	maxDocument = 64 << 20
	// payloadMargin stays free below the broker's payload limit, which includes headers.
	payloadMargin = 512
)

// newEncoder returns an encoder whose EncodeAll is safe for concurrent use. It keeps one state for each
// concurrent call.
func newEncoder() (*zstd.Encoder, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	return enc, nil
}

// newDecoder returns a decoder whose DecodeAll is safe for concurrent use. It rejects data that would
// decompress to more than limit bytes.
func newDecoder(limit uint64) (*zstd.Decoder, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(limit), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, fmt.Errorf("make a zstd decoder: %w", err)
	}
	return dec, nil
}

// letter is an outgoing event: a message, and the data that is too large for one.
type letter struct {
	msg   *nats.Msg
	event event.Type
	claim []byte // for the object store; nil when the message holds everything
}

// encode makes the message for e. Its errors are permanent: the same event fails again.
func (b *Bus) encode(e event.Event) (letter, error) {
	t := e.EventType()
	doc, err := marshal(e)
	if err != nil {
		return letter{}, Permanent(failure.New(failure.BadEvent, "encode %s: %w", t, err))
	}
	if len(doc) > maxDocument {
		return letter{}, Permanent(failure.New(failure.BadEvent, "encode %s: %d bytes are more than an event may have (%d)", t, len(doc), maxDocument))
	}
	m := nats.NewMsg(b.p.Subject(e.Subject()))
	m.Header.Set(headerEvent, string(t))
	if id := e.MsgID(); id != "" {
		m.Header.Set(nats.MsgIdHdr, id)
	}
	m.Data = doc
	if compressible(t) && len(doc) > compressAbove {
		m.Header.Set(headerEncoding, encodingZstd)
		m.Header.Set(headerSize, strconv.Itoa(len(doc)))
		m.Data = b.enc.EncodeAll(doc, make([]byte, 0, len(doc)/4))
	}
	l := letter{msg: m, event: t}
	limit := int(b.nc.MaxPayload()) - payloadMargin
	if wireSize(m) <= limit {
		return l, nil
	}
	if !compressible(t) {
		return letter{}, Permanent(failure.New(failure.BadEvent, "encode %s: %d bytes do not fit into a message", t, wireSize(m)))
	}
	l.claim = m.Data
	// The message names the pages of the claimed body, so that they can still be failed if the object is
	// missing.
	if m.Data, err = marshal(pagesIn(doc)); err != nil {
		return letter{}, Permanent(failure.New(failure.BadEvent, "encode %s: %w", t, err))
	}
	return l, nil
}

// marshal writes JSON without HTML escaping: bodies are full of HTML.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// wireSize is the size that counts toward the broker's payload limit: headers and data.
func wireSize(m *nats.Msg) int {
	n := len("NATS/1.0\r\n\r\n") + len(m.Data)
	for key, values := range m.Header {
		for _, v := range values {
			n += len(key) + len(v) + len(": \r\n")
		}
	}
	return n
}

// inflate reverses encode's compression.
func (b *Bus) inflate(encoding string, data []byte) ([]byte, error) {
	switch encoding {
	case "":
		return data, nil
	case encodingZstd:
		doc, err := b.dec.DecodeAll(data, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return nil, failure.New(failure.BadEvent, "decompress the event: it is larger than %d bytes", maxDocument)
		}
		if err != nil {
			return nil, failure.New(failure.BadEvent, "decompress the event: %w", err)
		}
		return doc, nil
	default:
		return nil, failure.New(failure.BadEvent, "unknown encoding %q of the event", encoding)
	}
}

// Decode decodes a delivery's payload as T. The error is permanent and has the code failure.BadEvent.
func Decode[T any](d Delivery) (T, error) {
	var out T
	if e, ok := any(out).(event.Event); ok && d.Type != "" && e.EventType() != d.Type {
		return out, Permanent(failure.New(failure.BadEvent, "a %s is not a %s", d.Type, e.EventType()))
	}
	if err := fastjson.Unmarshal(d.Data, &out); err != nil {
		var zero T
		return zero, Permanent(failure.New(failure.BadEvent, "decode %s: %w", d.Type, err))
	}
	return out, nil
}

// named is the part of a payload that the bus itself reads: its run and its pages.
type named struct {
	RunID string     `json:"run_id,omitempty"`
	Pages []page.Ref `json:"pages,omitempty"`
}

// pagesIn returns the run and pages in a payload, or nothing if it cannot be read.
func pagesIn(doc []byte) named {
	var in struct {
		RunID   string     `json:"run_id"`
		Page    page.Ref   `json:"page"`
		Pages   []page.Ref `json:"pages"`
		PageID  string     `json:"page_id"`
		Version int        `json:"version"`
	}
	if json.Unmarshal(doc, &in) != nil {
		return named{}
	}
	out := named{RunID: in.RunID}
	for _, p := range append(in.Pages, in.Page, page.Ref{ID: in.PageID, Version: in.Version}) {
		if p.ID != "" {
			out.Pages = append(out.Pages, p)
		}
	}
	return out
}
