package embedding

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/sluicehq/sluice/shared/fastjson"
)

// read makes results of an answer's body. An error about the call as a whole is a *garbledError, or says
// that vectors have an unexpected length.
func (s *server) read(body []byte, texts []string) ([]Result, error) {
	var doc struct {
		Data []struct {
			Index     *int            `json:"index"`
			Embedding json.RawMessage `json:"embedding"`
		} `json:"data"`
		Usage struct {
			Prompt int `json:"prompt_tokens"`
			Total  int `json:"total_tokens"`
		} `json:"usage"`
	}
	if err := fastjson.Unmarshal(body, &doc); err != nil {
		return nil, &garbledError{"not JSON, or a vector with a value that is no number: " + fastjson.Reason(err)}
	}
	if len(doc.Data) != len(texts) {
		return nil, &garbledError{fmt.Sprintf("%d vectors for %d texts", len(doc.Data), len(texts))}
	}
	results := make([]Result, len(texts))
	for i, d := range doc.Data {
		at := i // some servers leave the index out
		if d.Index != nil {
			at = *d.Index
		}
		if at < 0 || at >= len(results) || results[at].Vector != nil || results[at].Err != nil {
			return nil, &garbledError{fmt.Sprintf("the index %d of a vector is wrong or comes twice", at)}
		}
		v, err := floats(d.Embedding)
		if err == nil {
			err = unit(v)
		}
		if err == nil {
			if err := s.learn(len(v)); err != nil {
				return nil, err
			}
		}
		if results[at].Err = err; err == nil {
			results[at].Vector = v
		}
	}
	share(results, texts, max(doc.Usage.Prompt, doc.Usage.Total))
	return results, nil
}

// share divides the tokens of a call among its texts, by their length.
func share(results []Result, texts []string, tokens int) {
	bytes := 0
	for _, text := range texts {
		bytes += len(text)
	}
	for i, text := range texts {
		switch {
		case tokens <= 0:
			results[i].Tokens = len(text)/4 + 1
		case len(texts) == 1:
			results[i].Tokens, results[i].counted = tokens, true
		default:
			results[i].Tokens = max(1, int(math.Round(float64(tokens)*float64(len(text)+1)/float64(bytes+len(texts)))))
		}
	}
}

// floats reads a vector. A null in it, with which some servers write NaN, is an error: a JSON library
// would make it a zero.
func floats(raw []byte) ([]float32, error) {
	inner, isList := bytes.CutPrefix(bytes.TrimSpace(raw), []byte("["))
	inner, ends := bytes.CutSuffix(inner, []byte("]"))
	if !isList || !ends {
		return nil, &garbledError{"a vector is missing, or not a list of numbers"}
	}
	v := make([]float32, 0, bytes.Count(inner, []byte(","))+1)
	for part := range bytes.SplitSeq(inner, []byte(",")) {
		x, err := strconv.ParseFloat(string(bytes.TrimSpace(part)), 32)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, &garbledError{"a vector has a value that is no number, or infinite"}
		}
		v = append(v, float32(x))
	}
	return v, nil
}
