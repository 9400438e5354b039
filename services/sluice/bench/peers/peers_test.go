package peers

import (
	"context"
	"fmt"
	"os"
	"testing"
)

func TestTryPeers(t *testing.T) {
	ctx := t.Context()
	k, err := setUp(os.Getenv("TRY"))
	if err != nil {
		t.Fatal(err)
	}
	pr, pw, _ := os.Pipe()
	go func() { _ = ServeSite(ctx, 300, pw) }()
	var url string
	fmt.Fscanln(pr, &url)
	s := site{url: url, pid: os.Getpid()}
	for _, p := range loaders {
		program, args, env, err := p.ready(ctx, k)
		if err != nil {
			t.Log(p.name, err)
			continue
		}
		base := url + "/wiki"
		if p.driver == "exporter.py" {
			base = url
		}
		for _, space := range []string{"GEN", "DEMO"} {
			out := t.TempDir()
			env := append(env, "SITE="+base, "SPACE="+space, "OUT="+out, "MODE="+p.mode, "EMAIL=demo@example.com", "TOKEN=sandbox-demo-token")
			r, err := drive(context.Background(), s, env, program, args...)
			l, _ := os.ReadDir(out)
			t.Logf("%s %s %s %+v %v files %d", p.name, p.version(), space, r, err, len(l))
		}
	}
}
