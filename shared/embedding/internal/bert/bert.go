// Package bert runs sentence models of BERT's kind on the processor, without a library in C: MiniLM, BGE,
// E5, GTE and the like, in the form in which sentence-transformers saves them. It is one pass over the
// layers, in 32-bit floats; see ADR 24.
package bert

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
)

// Model is a loaded model. It does not change, so any number of goroutines may use it.
type Model struct {
	// Sum is the SHA-256 of model.safetensors, in hex.
	Sum string
	// Prompts are what the model wants before a text, by the names that its makers gave: "query",
	// "passage", "document".
	Prompts map[string]string

	cfg       config
	tokenizer *tokenizer
	window    int // tokens of one pass, with the two that begin and end it
	mean      bool
	words     []float32
	positions []float32 // with the token type's vector added
	begin     normalization
	layers    []layer
}

// config is what a config.json says that matters here.
type config struct {
	Type       string  `json:"model_type"`
	Activation string  `json:"hidden_act"`
	Position   string  `json:"position_embedding_type"`
	Hidden     int     `json:"hidden_size"`
	Inner      int     `json:"intermediate_size"`
	Heads      int     `json:"num_attention_heads"`
	Layers     int     `json:"num_hidden_layers"`
	Positions  int     `json:"max_position_embeddings"`
	Types      int     `json:"type_vocab_size"`
	Vocabulary int     `json:"vocab_size"`
	Epsilon    float64 `json:"layer_norm_eps"`
}

func (c config) check() error {
	switch {
	case c.Type != "bert":
		return fmt.Errorf("config.json: the model is of type %q; only \"bert\" is supported", c.Type)
	case c.Activation != "gelu":
		return fmt.Errorf("config.json: the activation is %q; only \"gelu\" is supported", c.Activation)
	case c.Position != "" && c.Position != "absolute":
		return fmt.Errorf("config.json: positions are %q; only \"absolute\" is supported", c.Position)
	case c.Hidden < 1 || c.Heads < 1 || c.Hidden%(c.Heads*tileCols) != 0 || c.Inner < 1 || c.Inner%tileCols != 0:
		return fmt.Errorf("config.json: %d values in %d heads, and %d in between, are not supported: a head needs a multiple of %d", c.Hidden, c.Heads, c.Inner, tileCols)
	case c.Hidden > 4096 || c.Inner > 1<<16 || c.Layers < 1 || c.Layers > 200 || c.Positions < 8 || c.Positions > 1<<16 || c.Types < 1 || c.Types > 16 || c.Vocabulary < 1 || c.Vocabulary > 1<<24:
		return errors.New("config.json: a size is missing or out of range")
	}
	return nil
}

type layer struct {
	attend  dense // to queries, keys and values, one after the other
	project dense
	settle  normalization
	widen   dense
	narrow  dense
	finish  normalization
}

// dense is a linear layer.
type dense struct {
	weights matrix
	bias    []float32
}

type normalization struct{ weight, bias []float32 }

// Load reads a model from a folder as sentence-transformers saves it. The error names the file and what
// is wrong with it.
func Load(dir fs.FS) (*Model, error) {
	m := &Model{mean: true}
	if err := readJSON(dir, "config.json", &m.cfg); err != nil {
		return nil, err
	}
	if err := m.cfg.check(); err != nil {
		return nil, err
	}
	if err := m.readShape(dir); err != nil {
		return nil, err
	}
	doc, err := fs.ReadFile(dir, "tokenizer.json")
	if err != nil {
		return nil, err
	}
	if m.tokenizer, err = newTokenizer(doc); err != nil {
		return nil, err
	}
	if id := m.tokenizer.largest(); int(id) >= m.cfg.Vocabulary {
		return nil, fmt.Errorf("tokenizer.json has a token %d, and config.json says that there are %d", id, m.cfg.Vocabulary)
	}
	file, err := dir.Open("model.safetensors")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	read := io.TeeReader(file, sum)
	weights, err := readTensors(read, func(name string) bool {
		return strings.HasPrefix(name, "embeddings.") && name != "embeddings.position_ids" || strings.HasPrefix(name, "encoder.")
	})
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, read); err != nil {
		return nil, fmt.Errorf("model.safetensors: %w", err)
	}
	m.Sum = hex.EncodeToString(sum.Sum(nil))
	return m, m.assemble(weights)
}

// readShape reads the files of sentence-transformers: which steps follow on the model, how long a text
// may be, which prompts there are.
func (m *Model) readShape(dir fs.FS) error {
	var steps []struct {
		Type string `json:"type"`
		Path string `json:"path"`
	}
	if err := readJSON(dir, "modules.json", &steps); err != nil {
		return err
	}
	pooled := false
	for _, step := range steps {
		switch kind := step.Type[strings.LastIndexByte(step.Type, '.')+1:]; kind {
		case "Transformer", "Normalize":
		case "Pooling":
			var pooling map[string]any
			if err := readJSON(dir, strings.Trim(step.Path, "/")+"/config.json", &pooling); err != nil {
				return err
			}
			for key, on := range pooling {
				if mode, is := strings.CutPrefix(key, "pooling_mode_"); is && on == true && mode != "mean_tokens" && mode != "cls_token" {
					return fmt.Errorf("%s/config.json: pooling by %q is not supported", step.Path, mode)
				}
			}
			mean, cls := pooling["pooling_mode_mean_tokens"] == true, pooling["pooling_mode_cls_token"] == true
			if mean == cls {
				return fmt.Errorf("%s/config.json: pooling by both the mean and the first token, or by neither, is not supported", step.Path)
			}
			m.mean, pooled = mean, true
		default:
			return fmt.Errorf("modules.json: the step %q is not supported", kind)
		}
	}
	if !pooled {
		return errors.New("modules.json has no pooling: this is not a sentence model")
	}
	var bound struct {
		Longest int `json:"max_seq_length"`
	}
	if err := readJSON(dir, "sentence_bert_config.json", &bound); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.window = m.cfg.Positions
	if bound.Longest > 0 {
		m.window = min(m.window, bound.Longest)
	}
	if m.window < 8 {
		return fmt.Errorf("sentence_bert_config.json: a text of %d tokens is too short to be useful", m.window)
	}
	var prompts struct {
		Prompts map[string]string `json:"prompts"`
	}
	if err := readJSON(dir, "config_sentence_transformers.json", &prompts); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.Prompts = prompts.Prompts
	return nil
}

func readJSON(dir fs.FS, name string, into any) error {
	doc, err := fs.ReadFile(dir, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(doc, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// assemble gives every weight its place.
func (m *Model) assemble(weights tensors) error {
	c := m.cfg
	var failed error
	take := func(name string, shape ...int) []float32 {
		values, err := weights.take(name, shape...)
		if err != nil && failed == nil {
			failed = err
		}
		return values
	}
	norm := func(name string) normalization {
		return normalization{take(name+".weight", c.Hidden), take(name+".bias", c.Hidden)}
	}
	linear := func(name string, to, from int) dense {
		w, bias := take(name+".weight", to, from), take(name+".bias", to)
		if failed != nil {
			return dense{}
		}
		return dense{transposed(w, to, from), bias}
	}
	m.words = take("embeddings.word_embeddings.weight", c.Vocabulary, c.Hidden)
	m.positions = take("embeddings.position_embeddings.weight", c.Positions, c.Hidden)
	types := take("embeddings.token_type_embeddings.weight", c.Types, c.Hidden)
	m.begin = norm("embeddings.LayerNorm")
	for i := range m.positions {
		if failed == nil {
			m.positions[i] += types[i%c.Hidden] // of the first type: there is only one text
		}
	}
	for i := range c.Layers {
		at := fmt.Sprintf("encoder.layer.%d.", i)
		var joined dense
		for n, part := range []string{"query", "key", "value"} {
			w, bias := take(at+"attention.self."+part+".weight", c.Hidden, c.Hidden), take(at+"attention.self."+part+".bias", c.Hidden)
			if failed != nil {
				return failed
			}
			if n == 0 {
				joined = dense{newMatrix(c.Hidden, 3*c.Hidden), nil}
				scale(w, 1/math.Sqrt(float64(c.Hidden/c.Heads)))
				scale(bias, 1/math.Sqrt(float64(c.Hidden/c.Heads)))
			}
			for col := range c.Hidden {
				joined.weights.column(n*c.Hidden+col, w[col*c.Hidden:(col+1)*c.Hidden])
			}
			joined.bias = append(joined.bias, bias...)
		}
		m.layers = append(m.layers, layer{
			attend:  joined,
			project: linear(at+"attention.output.dense", c.Hidden, c.Hidden),
			settle:  norm(at + "attention.output.LayerNorm"),
			widen:   linear(at+"intermediate.dense", c.Inner, c.Hidden),
			narrow:  linear(at+"output.dense", c.Hidden, c.Inner),
			finish:  norm(at + "output.LayerNorm"),
		})
	}
	return failed
}

func scale(values []float32, by float64) {
	for i := range values {
		values[i] *= float32(by)
	}
}

// Dimensions is the length of a vector.
func (m *Model) Dimensions() int { return m.cfg.Hidden }

// Window is how many tokens are read in one pass, without the two that begin and end it.
func (m *Model) Window() int { return m.window - 2 }

// Tokens returns the ids of a text.
func (m *Model) Tokens(text string) []int32 { return m.tokenizer.tokens(text) }
