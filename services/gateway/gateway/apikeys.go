package gateway

import (
	"context"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

// listedKey is an API key in the list of keys, the oldest first.
type listedKey struct{ apikey.Key }

// Position is when the key was made, in a form that sorts as text, and its id.
func (k listedKey) Position() store.Position {
	return store.Position{k.CreatedAt.UTC().Format("2006-01-02T15:04:05.000000000"), k.ID}
}

type listKeysInput struct {
	Window
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (g *Gateway) listKeys(ctx context.Context, in *listKeysInput) (*listOutput[listedKey], error) {
	return listOf(in.Window, in.Limit, func(p store.Part) ([]listedKey, error) {
		keys, err := g.control.APIKeys(ctx, viewerOf(ctx))
		if err != nil {
			return nil, err
		}
		rows := make([]listedKey, len(keys))
		for i, k := range keys {
			rows[i] = listedKey{k}
		}
		return partOf(rows, p)
	})
}

type createKeyInput struct {
	Request string `header:"Idempotency-Key" maxLength:"255" doc:"requests with the same key make one API key" example:"assistant-2026-01-31"`
	Body    struct {
		Name    string      `json:"name" minLength:"1" maxLength:"200" doc:"who or what uses the key" example:"assistant"`
		Role    apikey.Role `json:"role" enum:"read,operate,admin"`
		Sources []string    `json:"sources,omitempty" maxItems:"100" nullable:"false" doc:"only these sources; default: every source"`
		Account string      `json:"account,omitempty" maxLength:"128" doc:"the account that the key reads as" example:"712020:8d0f"`
		ActAs   bool        `json:"act_as,omitempty" doc:"each request may name the account that it reads as"`
	}
}

// createdKey is a key with its text.
type createdKey struct {
	apikey.Key
	Secret string `json:"key" doc:"the key to send; it is in no other response"`
}

type createKeyOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         createdKey
}

func (g *Gateway) createKey(ctx context.Context, in *createKeyInput) (*createKeyOutput, error) {
	b := in.Body
	request := ""
	if in.Request != "" { // of this caller: another one names its requests as it likes
		request = callerOf(ctx).key.ID + "\x00" + in.Request
	}
	made, token, err := g.control.CreateKey(ctx, viewerOf(ctx), control.NewKey{Name: b.Name, Role: b.Role, Sources: b.Sources, Account: b.Account, ActAs: b.ActAs, Request: request})
	if err != nil {
		return nil, err
	}
	return &createKeyOutput{CacheControl: "no-store", Body: createdKey{Key: made, Secret: token.Reveal()}}, nil
}

type revokeKeyInput struct {
	// The pattern refuses whole keys, which do not belong into addresses.
	KeyID string `path:"key_id" maxLength:"12" pattern:"^[a-z2-7]{12}$" doc:"key_id of the key"`
}

type revokeKeyOutput struct{ Body apikey.Key }

func (g *Gateway) revokeKey(ctx context.Context, in *revokeKeyInput) (*revokeKeyOutput, error) {
	k, err := g.control.RevokeKey(ctx, viewerOf(ctx), in.KeyID)
	return &revokeKeyOutput{Body: k}, err
}
