package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// knownProblem converts errors of control and its vault to a problem; it returns nil for any other error.
func knownProblem(ctx context.Context, err error) *Problem {
	for _, p := range []*Problem{runProblem(err), sourceProblem(err), tokenProblem(ctx, err)} {
		if p != nil {
			return p
		}
	}
	return nil
}

// runProblem converts errors about runs, pages and searches.
func runProblem(err error) *Problem {
	var (
		noRun     *control.UnknownRunError
		noPage    *control.UnknownPageError
		left      *control.PageRemovedError
		several   *store.AmbiguousPageError
		taken     *control.RunIDTakenError
		reused    *control.KeyReusedError
		ended     *control.EndedError
		made      *control.KeyMadeError
		tooMany   *control.TooManyRunsError
		notHeld   *control.NotHeldError
		nothing   *control.NothingFailedError
		notFailed *control.NotFailedError
	)
	conflict := func(code, detail string) *Problem { return fail(http.StatusConflict, code, detail) }
	switch {
	case errors.As(err, &noRun):
		return unknownRun(noRun.ID)
	case errors.As(err, &noPage):
		return fail(http.StatusNotFound, string(failure.NotFound), "the page is not stored, or the key may not see its source")
	case errors.As(err, &several): // it names only sources that the key may see
		return conflict("page_ambiguous", "several sites have a page with this id; give the source of the page: "+strings.Join(several.Sources, ", "))
	case errors.As(err, &left):
		return fail(http.StatusGone, "page_removed", "the page was removed")
	case errors.As(err, &taken):
		return conflict(string(failure.RequestIDTaken), "a run of another source has this id")
	case errors.As(err, &reused):
		return conflict("idempotency_key_reused", "the Idempotency-Key was used for a sync with other options; a new sync needs a new key")
	case errors.As(err, &made):
		return conflict("idempotency_key_reused", "the Idempotency-Key has made the API key "+made.ID+" already, with other settings or more than ten minutes ago; a new key needs a new Idempotency-Key, and DELETE /api/keys/"+made.ID+" revokes one that nobody uses")
	case errors.As(err, &tooMany):
		p := fail(http.StatusTooManyRequests, string(failure.TooManyRuns), tooMany.Error()+"; wait for them, or cancel them")
		p.retryAfter = time.Minute
		return p
	case errors.As(err, &ended):
		return conflict("run_ended", "the run has already ended: its state is "+string(ended.Run.State))
	case errors.As(err, &notHeld) && notHeld.Decided():
		return conflict("not_held", "the run was "+string(notHeld.Run.Decision)+" already; a full sync checks the pages again")
	case errors.As(err, &notHeld):
		return conflict("not_held", "the run holds no removals: its state is "+string(notHeld.Run.State))
	case errors.As(err, &notFailed):
		return conflict("not_failed", notFailed.Error())
	case errors.As(err, &nothing):
		return conflict("nothing_failed", "no page of the source is failed: there is nothing to retry")
	case errors.Is(err, store.ErrPosition):
		return errCursor("cursor is not the next of an earlier response")
	case errors.Is(err, control.ErrNoQuery):
		return fail(http.StatusUnprocessableEntity, "invalid", "query contains no word")
	}
	return nil
}

// sourceProblem converts errors about sources.
func sourceProblem(err error) *Problem {
	var (
		unknown *control.UnknownSourceError
		scope   *control.OutOfScopeError
		invalid *control.InvalidError
		exists  *control.SourceExistsError
		taken   *control.SpaceTakenError
		running *control.NotPausedError
		noKey   *control.UnknownKeyError
		noToken *control.UnknownSecretError
		at      *control.SiteError
		lacks   *control.ScopeError
	)
	switch {
	case errors.As(err, &at), errors.As(err, &lacks), errors.Is(err, control.ErrNoAnswer), errors.Is(err, control.ErrNoSpace):
		return fail(http.StatusUnprocessableEntity, "site_unreadable", err.Error()+"; with unchecked the site is not asked")
	case errors.Is(err, control.ErrNotOperator):
		return fail(http.StatusForbidden, "forbidden", "this needs a key for all sources; this key is limited to some")
	case errors.Is(err, control.ErrNotOverseer):
		return fail(http.StatusForbidden, "forbidden", "this needs a key with the role operate, and a request that names no other reader")
	case errors.As(err, &noKey), errors.As(err, &noToken):
		return fail(http.StatusNotFound, string(failure.NotFound), err.Error())
	case errors.As(err, &running):
		return fail(http.StatusConflict, "not_paused", "the source's site is not paused")
	case errors.As(err, &unknown):
		return unknownSource(unknown.ID)
	case errors.As(err, &scope):
		return fail(http.StatusForbidden, "forbidden", "this key is limited to some sources: it cannot add others, and cannot give a site another address")
	case errors.As(err, &invalid) && invalid.Field == "base_url":
		return fail(http.StatusUnprocessableEntity, "site_not_allowed", invalid.Error())
	case errors.As(err, &invalid):
		return fail(http.StatusUnprocessableEntity, "invalid", invalid.Error())
	case errors.As(err, &exists):
		return fail(http.StatusConflict, "source_exists", "another source has this id; choose another one")
	case errors.As(err, &taken):
		return fail(http.StatusConflict, "space_taken", "another source has this space already; a page belongs to one source")
	case failure.CodeOf(err) == failure.OtherSite:
		return fail(http.StatusConflict, string(failure.OtherSite), "another site is known to have this address; add its space as a source of its own")
	case errors.Is(err, control.ErrNothingToChange):
		return fail(http.StatusUnprocessableEntity, "invalid", "the body contains no field to change")
	}
	return nil
}

// tokenProblem converts errors of storing a token.
func tokenProblem(ctx context.Context, err error) *Problem {
	var sealed *vault.SealedError
	switch {
	case errors.Is(err, seal.ErrNoKey):
		return fail(http.StatusConflict, "no_master_key", "the token cannot be stored because the HTTP API has no key to encrypt it with: set SLUICE_MASTER_KEY (or SLUICE_MASTER_PASSPHRASE, or their _FILE) for it and for every other service")
	case errors.Is(err, credential.ErrWhose):
		return fail(http.StatusUnprocessableEntity, "invalid", "email: "+err.Error())
	case errors.As(err, &sealed):
		why := "the token of another name cannot be decrypted"
		if viewerOf(ctx).SeesAll() { // a viewer of some sources must not learn of others
			why = sealed.Error()
		}
		return fail(http.StatusConflict, "secret_unreadable", "the token was not stored, because an existing one is encrypted with a key that is not set here: "+why)
	}
	return nil
}
