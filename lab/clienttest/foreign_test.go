//go:build foreign

package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

const leastNode = 18

// foreign installs the client in the versions of the lock file, and returns its folder.
func foreign(t *testing.T) string {
	t.Helper()
	version := strings.TrimPrefix(said(t, "", nil, "node", "--version"), "v")
	major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	require.NoError(t, err)
	require.GreaterOrEqual(t, major, leastNode, "this test needs Node %d, found %s", leastNode, version)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "foreign"))))
	within(t, install, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false")
	return dir
}

// said runs a program until it ends and returns its output.
func said(t *testing.T, dir string, env []string, program string, args ...string) string {
	t.Helper()
	return within(t, 3*time.Minute, dir, env, program, args...)
}

// install is how long a package manager may take: a registry can be slow.
const install = 8 * time.Minute

func within(t *testing.T, limit time.Duration, dir string, env []string, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &out, &errs
	require.NoError(t, cmd.Run(), "%s %v: %s", program, args, errs.String())
	return strings.TrimSpace(out.String())
}

// An independent client reads the stand-in as it would read Confluence.
func TestForeignClient(t *testing.T) {
	dir := foreign(t)
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })

	var pages, current []string
	for _, p := range site.Pages(sandbox.BuiltinSpace) {
		if !p.Hidden && p.Status != "trashed" {
			pages = append(pages, p.ID)
		}
		if !p.Hidden && p.Status == "current" {
			current = append(current, p.ID)
		}
	}
	body, err := site.Body("65666")
	require.NoError(t, err)

	type failed struct {
		Name   string
		Status int
		None   bool
	}
	type walked struct {
		IDs   []string
		Calls int
	}
	var got struct {
		Spaces, Found, Labels, Ancestors, Attachments, Restrictions []string
		Pages, Search                                               walked
		Page                                                        struct {
			Title, Body string
			Version     int
		}
		Me       string
		Comments int
		Errors   map[string]failed
	}
	report := said(t, dir, []string{"SITE=" + served.URL, "EMAIL=" + sandbox.DefaultEmail, "TOKEN=" + sandbox.DefaultToken}, "node", "read.mjs")
	require.NoError(t, json.Unmarshal([]byte(report), &got), report)

	require.Equal(t, []string{sandbox.BuiltinSpace}, got.Spaces)
	require.Equal(t, walked{pages, (len(pages) + 6) / 7}, got.Pages, "through every cursor")
	require.ElementsMatch(t, current, got.Search.IDs)
	require.Equal(t, (len(current)+8)/9, got.Search.Calls)
	require.Equal(t, "Rotate the signing keys", got.Page.Title)
	require.Equal(t, body, got.Page.Body)
	require.Equal(t, []string{"65666"}, got.Found)
	require.Equal(t, []string{"keys", "runbook", "security"}, got.Labels)
	require.Equal(t, "65601", got.Ancestors[0])
	require.Equal(t, 2, got.Comments)
	require.Equal(t, []string{"reading-path.png", "regions.svg"}, got.Attachments)
	require.ElementsMatch(t, []string{"read", "update"}, got.Restrictions)
	require.NotEmpty(t, got.Me)

	for what, status := range map[string]int{
		"missing": 404, "draft": 400, "cql": 400, "tokenV2": 404, "tokenV1": 403, "limited": 429, "unavailable": 503, "scope": 401,
	} {
		require.Equal(t, status, got.Errors[what].Status, "%s: %+v", what, got.Errors[what])
	}
	for _, what := range []string{"html", "truncated", "reset"} {
		require.NotEmpty(t, got.Errors[what].Name, "%s: %+v", what, got.Errors[what])
	}
	require.Len(t, got.Errors, 11)
}
