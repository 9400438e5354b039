package retrieval

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sluicehq/sluice/shared/embedding"
)

// remembering is a model that keeps the vectors of passages in a file, so that a set is embedded once. The file
// holds records of one length: a text's key, and its vector.
type remembering struct {
	embedding.Model
	mu    sync.Mutex
	file  *os.File
	known map[textKey][]float32
}

type textKey [16]byte

func keyOf(text string) textKey {
	sum := sha256.Sum256([]byte(text))
	return textKey(sum[:16])
}

// remember returns the model with its file in a folder. The file's name says what the vectors depend on beside the
// text. Close closes both.
func remember(ctx context.Context, m embedding.Model, dir string) (*remembering, error) {
	if err := m.Prepare(ctx); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("create the folder of the vectors: %w", err)
	}
	name := fmt.Sprintf("%s-%d-%d.vectors", strings.NewReplacer("/", "_", `\`, "_", ":", "_").Replace(m.Name()), m.Dimensions(), m.PrefixVersion())
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the user names the folder
	if err != nil {
		return nil, fmt.Errorf("open the file of the vectors: %w", err)
	}
	r := &remembering{Model: m, file: f, known: map[textKey][]float32{}}
	if err := r.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// load reads the file. What a killed process has left of a last record is cut off.
func (r *remembering) load() error {
	raw, err := io.ReadAll(r.file)
	if err != nil {
		return fmt.Errorf("read vectors: %w", err)
	}
	size := len(textKey{}) + 4*r.Dimensions()
	whole := len(raw) - len(raw)%size
	for at := 0; at < whole; at += size {
		v := make([]float32, r.Dimensions())
		if _, err := binary.Decode(raw[at+len(textKey{}):at+size], binary.LittleEndian, v); err != nil {
			return fmt.Errorf("read vectors: %w", err)
		}
		r.known[textKey(raw[at:])] = v
	}
	if err := r.file.Truncate(int64(whole)); err != nil {
		return fmt.Errorf("cut off half a vector: %w", err)
	}
	if _, err := r.file.Seek(int64(whole), io.SeekStart); err != nil {
		return fmt.Errorf("go to the end of the vectors: %w", err)
	}
	return nil
}

// Embed implements embedding.Model. Questions are not remembered: making their vectors is part of a search.
func (r *remembering) Embed(ctx context.Context, kind embedding.Kind, texts []string) ([]embedding.Result, error) {
	if kind != embedding.Passage {
		return r.Model.Embed(ctx, kind, texts)
	}
	results := make([]embedding.Result, len(texts))
	var fresh []string
	var places []int
	r.mu.Lock()
	for i, text := range texts {
		if results[i].Vector = r.known[keyOf(text)]; results[i].Vector == nil {
			fresh, places = append(fresh, text), append(places, i)
		}
	}
	r.mu.Unlock()
	if len(fresh) == 0 {
		return results, nil
	}
	made, err := r.Model.Embed(ctx, kind, fresh)
	if err != nil {
		return nil, err
	}
	for i, one := range made {
		results[places[i]] = one
	}
	return results, r.keep(fresh, made)
}

func (r *remembering) keep(texts []string, made []embedding.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var raw []byte
	for i, one := range made {
		if one.Err != nil {
			continue
		}
		key := keyOf(texts[i])
		var err error
		if raw, err = binary.Append(append(raw, key[:]...), binary.LittleEndian, one.Vector); err != nil {
			return fmt.Errorf("keep vectors: %w", err)
		}
		r.known[key] = one.Vector
	}
	if _, err := r.file.Write(raw); err != nil {
		return fmt.Errorf("keep vectors: %w", err)
	}
	return nil
}

// Close implements embedding.Model.
func (r *remembering) Close() error { return errors.Join(r.file.Close(), r.Model.Close()) }
