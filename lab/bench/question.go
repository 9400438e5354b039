package bench

import (
	"fmt"
	"math/rand/v2"
)

// Words of generated pages; each is in many of them.
var (
	nouns = []string{"ingress", "ledger", "scheduler", "gateway", "replica", "queue", "cache", "index", "certificate", "pipeline",
		"invoice", "warehouse", "broker", "sensor", "snapshot", "quota", "tenant", "webhook", "cluster", "registry"}
	verbs  = []string{"provision", "inspect", "migrate", "restore", "tune", "retire", "audit", "replicate", "throttle", "rebuild"}
	places = []string{"frankfurt", "staging", "cold storage", "billing", "failover", "month end"}
	spoken = []string{"keeps a copy", "loses its lease", "is promoted", "sends a digest", "holds its lock", "refuses writes"}
)

// question makes a query, and says whether it must find something among that many pages.
func question(rng *rand.Rand, pages int) (query string, sure bool) {
	pick := func(list []string) string { return list[rng.IntN(len(list))] }
	switch rng.IntN(7) {
	case 0: // what one page alone has
		return fmt.Sprintf(`"generated page %d"`, rng.IntN(pages)), true
	case 1: // what a third of all chunks have
		return pick(nouns), true
	case 2:
		return pick(nouns) + " " + pick(nouns), true
	case 3: // a title
		return pick(verbs) + " the " + pick(nouns) + " " + pick(places), false
	case 4:
		return `"` + pick(spoken) + `" ` + pick(nouns), true
	case 5:
		return pick(nouns) + " " + pick(places) + " -" + pick(nouns), false
	default: // as somebody asks
		return "why does the " + pick(nouns) + " fall behind after " + pick(places), false
	}
}
