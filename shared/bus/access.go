package bus

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/event"
)

// Roles are the stages, each with its own credential, and the command. The command belongs to the
// operator and has the permissions of all stages. The permissions follow from the list of stages, so
// that they always match what the services do.
var Roles = append(slices.Clone(Stages), union("sluice", Stages))

// union is a role with the permissions of all the roles.
func union(name string, roles []Stage) Stage {
	u := Stage{Name: name}
	for _, r := range roles {
		u.Publishes, u.Large, u.Hears = add(u.Publishes, r.Publishes), add(u.Large, r.Large), add(u.Hears, r.Hears)
		u.Consumes = append(u.Consumes, r.Consumes...)
		u.Calls, u.Follows = u.Calls || r.Calls, u.Follows || r.Follows
		u.Keeps, u.Looks = u.Keeps || r.Keeps, u.Looks || r.Looks
	}
	return u
}

func add(to, more []event.Type) []event.Type {
	for _, t := range more {
		if !slices.Contains(to, t) {
			to = append(to, t)
		}
	}
	return to
}

// roleOf returns the role with the name, and false if there is none.
func roleOf(name string) (Stage, bool) {
	i := slices.IndexFunc(Roles, func(r Stage) bool { return r.Name == name })
	if i < 0 {
		return Stage{}, false
	}
	return Roles[i], true
}

// inbox is where a role's answers come. Each has its own, or one could read the others'.
func (p Prefix) inbox(role string) string { return "_INBOX_" + p.name(role) }

// Permissions are the subjects that the role may publish to and subscribe to. There is no
// right in it to make a consumer: a consumer may be told to deliver anywhere, so whoever
// makes one can publish anywhere.
func (r Stage) Permissions(p Prefix) (publish, subscribe []string) {
	may := map[string]bool{}
	look := func(stream string) { may["$JS.API.STREAM.INFO."+stream] = true }
	for _, t := range r.publishes() {
		may[p.all(t)] = true
	}
	for _, c := range r.Consumes {
		at := p.name(c.Stream) + "." + c.Durable
		may["$JS.API.CONSUMER.INFO."+at] = true
		may["$JS.API.CONSUMER.MSG.NEXT."+at] = true
		may["$JS.ACK."+at+".>"] = true
		may["$KV."+p.name(counterBucket)+"."+c.Durable+".>"] = true
		may["$JS.API.DIRECT.GET."+p.kv(counterBucket)+".$KV."+p.name(counterBucket)+"."+c.Durable+".>"] = true
		may["$JS.API.STREAM.PURGE."+p.kv(counterBucket)] = true
	}
	for _, bucket := range r.buckets(p) {
		look(bucket)
	}
	if r.bodies() {
		may["$O."+p.name(claimBucket)+".>"] = true
		may["$JS.API.DIRECT.GET."+p.claims()] = true
		may["$JS.API.DIRECT.GET."+p.claims()+".>"] = true
		may["$JS.API.STREAM.PURGE."+p.claims()] = true
	}
	subscribe = []string{p.inbox(r.Name) + ".>"}
	if r.Calls {
		may["$KV."+p.name(budgetBucket)+".*"] = true
		may["$JS.API.DIRECT.GET."+p.kv(budgetBucket)+".$KV."+p.name(budgetBucket)+".*"] = true
		subscribe = append(subscribe, "$KV."+p.name(budgetBucket)+".*")
	}
	if r.follows() {
		may["$JS.API.DIRECT.GET."+p.name(progressStream)+"."+p.all(event.TypeProgress)] = true
		look(p.name(progressStream))
	}
	for _, t := range r.Hears {
		subscribe = append(subscribe, p.all(t))
	}
	if r.Keeps {
		r.keep(p, may)
	}
	if r.Looks {
		r.look(p, may)
	}
	publish = slices.Sorted(maps.Keys(may))
	slices.Sort(subscribe)
	return publish, subscribe
}

// follows reports whether the role reads the stream of progress: what is older than the newest is not
// published.
func (r Stage) follows() bool {
	return r.Follows || slices.Contains(r.Publishes, event.TypeProgress)
}

// buckets are the streams behind the buckets that the role uses.
func (r Stage) buckets(p Prefix) []string {
	var list []string
	if len(r.Consumes) > 0 {
		list = append(list, p.kv(counterBucket))
	}
	if r.bodies() {
		list = append(list, p.claims())
	}
	if r.Calls {
		list = append(list, p.kv(budgetBucket))
	}
	return list
}

// bodies reports whether the role handles events that may travel as a claim.
func (r Stage) bodies() bool {
	types := r.publishes()
	for _, c := range r.Consumes {
		types = append(types, c.Types...)
	}
	return slices.ContainsFunc(types, compressible)
}

// keep adds what Apply does, for the streams, consumers and buckets of the topology alone.
func (Stage) keep(p Prefix, may map[string]bool) {
	kept := []string{p.name(advisoryStream), p.claims(), p.kv(counterBucket), p.kv(budgetBucket)}
	for _, s := range Topology {
		kept = append(kept, p.name(s.Name))
		for _, c := range s.Consumers {
			may["$JS.API.CONSUMER.INFO."+p.name(s.Name)+"."+c.Durable] = true
			may["$JS.API.CONSUMER.CREATE."+p.name(s.Name)+"."+c.Durable+".>"] = true // one filter subject
			may["$JS.API.CONSUMER.CREATE."+p.name(s.Name)+"."+c.Durable] = true      // several
		}
	}
	for _, name := range kept {
		for _, verb := range []string{"INFO", "CREATE", "UPDATE"} {
			may["$JS.API.STREAM."+verb+"."+name] = true
		}
	}
	may["$JS.API.INFO"] = true
	may[p.all(event.TypeClock)] = true
}

// look adds what Inspect does.
func (Stage) look(p Prefix, may map[string]bool) {
	for _, s := range Topology {
		may["$JS.API.STREAM.INFO."+p.name(s.Name)] = true
		for _, c := range s.Consumers {
			may["$JS.API.CONSUMER.INFO."+p.name(s.Name)+"."+c.Durable] = true
		}
	}
	for _, name := range []string{p.name(advisoryStream), p.claims(), p.kv(counterBucket), p.kv(budgetBucket)} {
		may["$JS.API.STREAM.INFO."+name] = true
	}
	may["$JS.API.INFO"] = true
}

// AccessConfig is the NATS configuration that lets every role do its own and nothing else.
// Their public keys are variables, one a role, in a file keys.conf that is included.
func AccessConfig(p Prefix) string {
	var b strings.Builder
	b.WriteString(`# Who may do what on the bus: a key for each service, with its own subjects alone.
# Written from the list of stages in shared/bus by make docs; do not change it by hand.
#
# sluice nats init writes it beside keys.conf, which holds the public keys; the services are given
# the private ones by NATS_NKEY_FILE. docs/security/confluence-security.md says more.

include ./keys.conf

authorization {
  users: [
`)
	for _, r := range Roles {
		publish, subscribe := r.Permissions(p)
		fmt.Fprintf(&b, "    {\n      # %s\n      nkey: $%s\n      permissions: {\n", r.Name, KeyVariable(r.Name))
		allow(&b, "publish", publish)
		allow(&b, "subscribe", subscribe)
		b.WriteString("      }\n    }\n")
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}

func allow(b *strings.Builder, what string, subjects []string) {
	fmt.Fprintf(b, "        %s: {allow: [\n", what)
	for _, s := range subjects {
		fmt.Fprintf(b, "          %q\n", s)
	}
	b.WriteString("        ]}\n")
}

// KeyVariable is the name of a role's public key in keys.conf.
func KeyVariable(role string) string {
	return "NKEY_" + strings.ToUpper(strings.ReplaceAll(role, "-", "_"))
}
