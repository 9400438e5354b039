package assistant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/secret"
)

// Gateway is where a bridge passes requests on to.
type Gateway struct {
	URL string // of the HTTP API, with or without /mcp
	Key secret.String
}

// Endpoint is the address that answers assistants.
func (g Gateway) Endpoint() (string, error) {
	u, err := url.Parse(strings.TrimRight(g.URL, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", errors.New("the address of the gateway is to be like https://sluice.acme.com, without user and password")
	}
	if !strings.HasSuffix(u.Path, "/mcp") {
		u.Path += "/mcp"
	}
	return u.String(), nil
}

// Bridge answers one client over stdio from a gateway, so that a laptop needs no database. It returns when
// the client closes in, when ctx ends, or when the gateway does not take the key or does not answer at the
// beginning. What the gateway may not do later is told to the client.
func Bridge(ctx context.Context, in io.Reader, out io.Writer, g Gateway, version string, log zerolog.Logger) error {
	endpoint, err := g.Endpoint()
	if err != nil {
		return err
	}
	b := &bridge{endpoint: endpoint, version: version, log: log, http: &http.Client{Transport: keyed{g.Key}, Timeout: bridgeWithin}}
	defer b.drop(nil)
	if _, err := b.remote(ctx); err != nil {
		return b.words(err)
	}
	m := mcp.NewServer(&mcp.Implementation{Name: "sluice", Title: "Sluice", Version: version}, &mcp.ServerOptions{
		Instructions: instructions, SetCacheable: cacheable,
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}, Prompts: &mcp.PromptCapabilities{}, Resources: &mcp.ResourceCapabilities{}},
	})
	m.AddReceivingMiddleware(b.passOn)
	return serve(ctx, m, in, out)
}

// notDelivered is the code of an error that no server has answered: the SDK's own.
const notDelivered = -32005

// bridgeWithin bounds a request to the gateway, which bounds its calls itself.
const bridgeWithin = time.Minute

// keyed shows the key with every request.
type keyed struct{ key secret.String }

// RoundTrip sends the request with the key.
func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+k.key.Reveal())
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !slices.Contains(refusals, res.StatusCode) {
		return res, err
	}
	// The SDK would try another revision of the protocol.
	_ = res.Body.Close()
	return nil, fmt.Errorf(refused+"%d", res.StatusCode)
}

const refused = "refused with HTTP "

// refusals are what a gateway answers to a key that it does not take, or not now.
var refusals = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}

type bridge struct {
	endpoint, version string
	http              *http.Client
	log               zerolog.Logger

	mu      sync.Mutex
	session *mcp.ClientSession
}

// remote is a session with the gateway, which is made where there is none.
func (b *bridge) remote(ctx context.Context) (*mcp.ClientSession, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session != nil {
		return b.session, nil
	}
	c := mcp.NewClient(&mcp.Implementation{Name: "sluice mcp", Version: b.version}, &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}})
	s, err := c.Connect(context.WithoutCancel(ctx), &mcp.StreamableClientTransport{Endpoint: b.endpoint, HTTPClient: b.http, DisableStandaloneSSE: true, MaxRetries: -1}, nil)
	if err == nil {
		b.session = s
	}
	return s, err
}

// drop forgets a session, or whichever there is for nil.
func (b *bridge) drop(s *mcp.ClientSession) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session != nil && (s == nil || s == b.session) {
		_ = b.session.Close()
		b.session = nil
	}
}

// passOn lets the gateway answer what a client asks for; the handshake is answered here.
func (b *bridge) passOn(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		ask := b.asking(req)
		if ask == nil {
			return next(ctx, method, req)
		}
		ctx, cancel := context.WithTimeout(ctx, bridgeWithin)
		defer cancel()
		res, err := b.ask(ctx, ask)
		if err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), refused) && !answered(err) {
			res, err = b.ask(ctx, ask) // the gateway may have been restarted; whoever reads may ask twice
		}
		var wire *jsonrpc.Error
		switch {
		case err == nil:
			return res, nil
		case answered(err) && errors.As(err, &wire):
			return nil, wire
		}
		b.log.Warn().Err(err).Str("method", method).Msg("the gateway did not answer")
		err = b.words(err)
		if _, call := req.(*mcp.CallToolRequest); call {
			var told mcp.CallToolResult
			told.SetError(err)
			return &told, nil
		}
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()}
	}
}

// ask asks the gateway once.
func (b *bridge) ask(ctx context.Context, ask func(context.Context, *mcp.ClientSession) (mcp.Result, error)) (mcp.Result, error) {
	s, err := b.remote(ctx)
	if err != nil {
		return nil, err
	}
	res, err := ask(ctx, s)
	if err != nil && !answered(err) {
		b.drop(s) // the next call begins anew
	}
	return res, err
}

// answered reports whether an error is the gateway's answer.
func answered(err error) bool {
	var wire *jsonrpc.Error
	return errors.As(err, &wire) && wire.Code != notDelivered
}

// asking is what a request asks of the gateway; nil for what it is not asked.
func (b *bridge) asking(req mcp.Request) func(context.Context, *mcp.ClientSession) (mcp.Result, error) {
	switch r := req.(type) {
	case *mcp.CallToolRequest:
		return func(ctx context.Context, s *mcp.ClientSession) (mcp.Result, error) {
			p := &mcp.CallToolParams{Name: r.Params.Name}
			if len(r.Params.Arguments) > 0 {
				p.Arguments = r.Params.Arguments
			}
			if trace, ok := r.Params.Meta["traceparent"]; ok {
				p.Meta = mcp.Meta{"traceparent": trace}
			}
			return s.CallTool(ctx, p)
		}
	case *mcp.ListToolsRequest:
		return func(ctx context.Context, s *mcp.ClientSession) (mcp.Result, error) {
			return s.ListTools(ctx, nil)
		}
	case *mcp.ListPromptsRequest:
		return func(ctx context.Context, s *mcp.ClientSession) (mcp.Result, error) {
			return s.ListPrompts(ctx, nil)
		}
	case *mcp.GetPromptRequest:
		return func(ctx context.Context, s *mcp.ClientSession) (mcp.Result, error) {
			return s.GetPrompt(ctx, &mcp.GetPromptParams{Name: r.Params.Name, Arguments: r.Params.Arguments})
		}
	case *mcp.ListResourceTemplatesRequest:
		return func(ctx context.Context, s *mcp.ClientSession) (mcp.Result, error) {
			return s.ListResourceTemplates(ctx, nil)
		}
	case *mcp.ReadResourceRequest:
		return func(ctx context.Context, s *mcp.ClientSession) (mcp.Result, error) {
			return s.ReadResource(ctx, &mcp.ReadResourceParams{URI: r.Params.URI})
		}
	}
	return nil
}

// words says what is wrong with the gateway, and the way out.
func (b *bridge) words(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, refused+"401"):
		return fmt.Errorf("the gateway at %s does not take the key; make one with: sluice key create --name NAME --role read", b.endpoint)
	case strings.Contains(text, refused+"403"):
		return fmt.Errorf("the key may not read at the gateway at %s; make another one with: sluice key create --name NAME --role read", b.endpoint)
	case strings.Contains(text, refused+"429"):
		return fmt.Errorf("the gateway at %s has had too many requests; wait some seconds", b.endpoint)
	default:
		return fmt.Errorf("the gateway at %s does not answer as MCP; is GATEWAY_ADDR there, and does it run? %w", b.endpoint, err)
	}
}
