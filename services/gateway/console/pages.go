package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets views
var files embed.FS

// pages are the templates by name. Each view has one file in views, beside layout and parts, which all share.
type pages map[string]*template.Template

func parsePages() (pages, error) {
	versions, err := assetVersions()
	if err != nil {
		return nil, err
	}
	funcs := template.FuncMap{"asset": func(name string) string { return Root + "/assets/" + name + "?v=" + versions[name] }}
	for name, f := range words {
		funcs[name] = f
	}
	shared, err := template.New("").Funcs(funcs).Option("missingkey=error").ParseFS(files, "views/layout.html", "views/parts.html")
	if err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	list, err := fs.Glob(files, "views/*.html")
	if err != nil {
		return nil, err
	}
	all := pages{}
	for _, file := range list {
		own, err := shared.Clone()
		if err == nil {
			_, err = own.ParseFS(files, file)
		}
		if err != nil {
			return nil, fmt.Errorf("read the console's templates: %w", err)
		}
		all[strings.TrimSuffix(path.Base(file), ".html")] = own
	}
	return all, nil
}

// write renders a page.
func (p pages) write(w io.Writer, page string, f frame) error {
	t, ok := p[page]
	if !ok {
		return fmt.Errorf("the console has no page %q", page)
	}
	return t.ExecuteTemplate(w, "layout", f)
}

// assetVersions are the versions of the assets: browsers keep each until it changes.
func assetVersions() (map[string]string, error) {
	list, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, e := range list {
		b, err := files.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		versions[e.Name()] = hex.EncodeToString(sum[:6])
	}
	return versions, nil
}

// asset serves the stylesheet and the scripts. They are the same for everybody.
func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	b, err := files.ReadFile("assets/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" {
		kind = "text/javascript; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(b) //nolint:gosec // an embedded file
}
