package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// told puts what control, or its vault, says into a problem; nil for any other error.
func told(ctx context.Context, err error) *Problem {
	for _, p := range []*Problem{requestTold(err), sourceTold(err), tokenTold(ctx, err)} {
		if p != nil {
			return p
		}
	}
	return nil
}

// requestTold is told for runs, pages and searches.
func requestTold(err error) *Problem {
	var (
		noRun   *control.UnknownRunError
		noPage  *control.UnknownPageError
		left    *control.PageRemovedError
		several *store.AmbiguousPageError
		taken   *control.RunIDTakenError
		reused  *control.KeyReusedError
		ended   *control.EndedError
		notHeld *control.NotHeldError
		nothing *control.NothingFailedError
	)
	conflict := func(code, detail string) *Problem { return fail(http.StatusConflict, code, detail) }
	switch {
	case errors.As(err, &noRun):
		return unknownRun(noRun.ID)
	case errors.As(err, &noPage):
		return fail(http.StatusNotFound, string(failure.NotFound), "no such page is stored, or the key is not for its source")
	case errors.As(err, &several): // it names sources that the key is for, and no others
		return conflict("page_ambiguous", "several sites have a page with this id; name the source of the one that is meant: "+strings.Join(several.Sources, ", "))
	case errors.As(err, &left):
		return fail(http.StatusGone, "page_removed", "the page left its space")
	case errors.As(err, &taken):
		return conflict(string(failure.RequestIDTaken), "the id of the run is that of another source's run")
	case errors.As(err, &reused):
		return conflict("idempotency_key_reused", "the Idempotency-Key was used for a sync that was asked for differently; a new sync needs a new key")
	case errors.As(err, &ended):
		return conflict("run_ended", "the run has ended already: it is "+string(ended.Run.State))
	case errors.As(err, &notHeld) && notHeld.Decided():
		return conflict("not_held", "the run was "+string(notHeld.Run.Decision)+" already; a full sync looks at the pages again")
	case errors.As(err, &notHeld):
		return conflict("not_held", "the run holds nothing back: it is "+string(notHeld.Run.State))
	case errors.As(err, &nothing):
		return conflict("nothing_failed", "no page of the source is failed: there is nothing to try again")
	case errors.Is(err, control.ErrNoQuery):
		return fail(http.StatusUnprocessableEntity, "invalid", "query holds no word")
	}
	return nil
}

// sourceTold is told for sources.
func sourceTold(err error) *Problem {
	var (
		unknown *control.UnknownSourceError
		scope   *control.OutOfScopeError
		invalid *control.InvalidError
		exists  *control.SourceExistsError
		taken   *control.SpaceTakenError
	)
	switch {
	case errors.As(err, &unknown):
		return unknownSource(unknown.ID)
	case errors.As(err, &scope):
		return fail(http.StatusForbidden, "forbidden", "this key is for other sources")
	case errors.As(err, &invalid) && invalid.Field == "base_url":
		return fail(http.StatusUnprocessableEntity, "site_not_allowed", invalid.Error())
	case errors.As(err, &invalid):
		return fail(http.StatusUnprocessableEntity, "invalid", invalid.Error())
	case errors.As(err, &exists):
		return fail(http.StatusConflict, "source_exists", "the id is that of another source; choose another one")
	case errors.As(err, &taken):
		return fail(http.StatusConflict, "space_taken", "the space is another source already; a page has one source")
	case errors.Is(err, control.ErrNothingToChange):
		return fail(http.StatusUnprocessableEntity, "invalid", "the body names nothing that is to be changed")
	}
	return nil
}

// tokenTold is told for a token that is not stored.
func tokenTold(ctx context.Context, err error) *Problem {
	var sealed *vault.SealedError
	switch {
	case errors.Is(err, seal.ErrNoKey):
		return fail(http.StatusConflict, "no_master_key", "the token cannot be stored, since the HTTP API has no key to encrypt it with: set SLUICE_MASTER_KEY (or SLUICE_MASTER_PASSPHRASE, or their _FILE) for it and for every other service")
	case errors.Is(err, credential.ErrWhose):
		return fail(http.StatusUnprocessableEntity, "invalid", "email: "+err.Error())
	case errors.As(err, &sealed):
		why := "that of another name cannot be opened"
		if viewing(ctx).SeesAll() { // who sees some sources is not told of others
			why = sealed.Error()
		}
		return fail(http.StatusConflict, "secret_unreadable", "no token is stored while one is sealed with a key that is not set here: "+why)
	}
	return nil
}
