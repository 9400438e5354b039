package assistant

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// Handler serves streamable HTTP without sessions: any replica answers any request. caller says who asks;
// the request was let through by then.
func (s *Server) Handler(caller func(*http.Request) Caller, maxBody int64) http.Handler {
	const key = "caller"
	m := s.protocol(func(req mcp.Request) Caller {
		if x := req.GetExtra(); x != nil && x.TokenInfo != nil {
			c, _ := x.TokenInfo.Extra[key].(Caller)
			return c
		}
		return Caller{} // sees nothing
	})
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return m }, &mcp.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, MaxRequestBodyBytes: maxBody, PropagateRequestCancellation: true,
		// It would refuse what a proxy on this machine passes on. A page that rebinds its name has no key.
		DisableLocalhostProtection: true,
	})
	// The SDK hands a request's context on to tools in some revisions only, and what this puts there in all.
	return auth.RequireBearerToken(func(_ context.Context, _ string, r *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{Extra: map[string]any{key: caller(r)}}, nil
	}, &auth.RequireBearerTokenOptions{AllowMissingExpiration: true})(h)
}

// Metadata tells a client how to log in to the resource of an address, in the form of RFC 9728: with a
// key as a bearer token. No authorization server is named, since none gives out keys.
func Metadata(resource string) http.Handler {
	return auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: resource, ResourceName: "Sluice", BearerMethodsSupported: []string{"header"},
		ResourceDocumentation: "https://github.com/sluicehq/sluice/blob/main/docs/mcp.md",
	})
}
