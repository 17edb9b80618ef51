package auth

import (
	"context"

	"cronium.dev/cronium"
)

type principalKey struct{}

// WithPrincipal returns a context in which p asks.
func WithPrincipal(ctx context.Context, p *cronium.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext is who asks; nil: nobody is signed in.
func FromContext(ctx context.Context) *cronium.Principal {
	p, _ := ctx.Value(principalKey{}).(*cronium.Principal)
	return p
}
