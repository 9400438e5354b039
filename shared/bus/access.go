package bus

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/event"
)

// Roles are the stages, each of which has a credential of its own, and the command. That is the
// operator's: it may do what any of the others may. What a credential may do follows from the list
// of stages, so that it and what its service does cannot drift apart.
var Roles = append(slices.Clone(Stages), union("sluice", Stages))

// union is a role that may do what any of the roles may.
func union(name string, roles []Stage) Stage {
	u := Stage{Name: name}
	for _, r := range roles {
		u.Publishes, u.Large, u.Hears = add(u.Publishes, r.Publishes), add(u.Large, r.Large), add(u.Hears, r.Hears)
		u.Consumes = append(u.Consumes, r.Consumes...)
		u.Calls, u.Follows, u.Keeps = u.Calls || r.Calls, u.Follows || r.Follows, u.Keeps || r.Keeps
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

// roleOf returns the role of a name, and false when there is none.
func roleOf(name string) (Stage, bool) {
	i := slices.IndexFunc(Roles, func(r Stage) bool { return r.Name == name })
	if i < 0 {
		return Stage{}, false
	}
	return Roles[i], true
}

// inbox is where a role's answers come. Each has its own, or one could read the others'.
func inbox(role string) string { return "_INBOX_" + role }

// Permissions are the subjects that the role may publish to and subscribe to. There is no
// right in it to make a consumer: a consumer may be told to deliver anywhere, so whoever
// makes one can publish anywhere.
func (r Stage) Permissions() (publish, subscribe []string) {
	may := map[string]bool{}
	look := func(stream string) { may["$JS.API.STREAM.INFO."+stream] = true }
	for _, t := range r.publishes() {
		may[subject(t)] = true
	}
	for _, c := range r.Consumes {
		at := c.Stream + "." + c.Durable
		may["$JS.API.CONSUMER.INFO."+at] = true
		may["$JS.API.CONSUMER.MSG.NEXT."+at] = true
		may["$JS.ACK."+at+".>"] = true
		may["$KV."+counterBucket+"."+c.Durable+".>"] = true
		may["$JS.API.DIRECT.GET.KV_"+counterBucket+".$KV."+counterBucket+"."+c.Durable+".>"] = true
		may["$JS.API.STREAM.PURGE.KV_"+counterBucket] = true
	}
	for _, bucket := range r.buckets() {
		look(bucket)
	}
	if r.bodies() {
		may["$O."+claimBucket+".>"] = true
		may["$JS.API.DIRECT.GET.OBJ_"+claimBucket] = true
		may["$JS.API.DIRECT.GET.OBJ_"+claimBucket+".>"] = true
		may["$JS.API.STREAM.PURGE.OBJ_"+claimBucket] = true
	}
	subscribe = []string{inbox(r.Name) + ".>"}
	if r.Calls {
		may["$KV."+budgetBucket+".*"] = true
		may["$JS.API.DIRECT.GET.KV_"+budgetBucket+".$KV."+budgetBucket+".*"] = true
		subscribe = append(subscribe, "$KV."+budgetBucket+".*")
	}
	if r.Follows || slices.Contains(r.Publishes, event.TypeProgress) { // what is older than the newest is not published
		may["$JS.API.DIRECT.GET."+progressStream+"."+subject(event.TypeProgress)] = true
		look(progressStream)
	}
	for _, t := range r.Hears {
		subscribe = append(subscribe, subject(t))
	}
	if r.Keeps {
		r.keep(may)
	}
	publish = slices.Sorted(maps.Keys(may))
	slices.Sort(subscribe)
	return publish, subscribe
}

// buckets are the streams behind the buckets that the role uses.
func (r Stage) buckets() []string {
	var list []string
	if len(r.Consumes) > 0 {
		list = append(list, "KV_"+counterBucket)
	}
	if r.bodies() {
		list = append(list, "OBJ_"+claimBucket)
	}
	if r.Calls {
		list = append(list, "KV_"+budgetBucket)
	}
	return list
}

// bodies reports whether events that may travel as a claim pass through the role.
func (r Stage) bodies() bool {
	types := r.publishes()
	for _, c := range r.Consumes {
		types = append(types, c.Types...)
	}
	return slices.ContainsFunc(types, compressible)
}

// keep adds what Apply does, for the streams, consumers and buckets of the topology alone.
func (Stage) keep(may map[string]bool) {
	kept := []string{advisoryStream, "OBJ_" + claimBucket, "KV_" + counterBucket, "KV_" + budgetBucket}
	for _, s := range Topology {
		kept = append(kept, s.Name)
		for _, c := range s.Consumers {
			may["$JS.API.CONSUMER.INFO."+s.Name+"."+c.Durable] = true
			may["$JS.API.CONSUMER.CREATE."+s.Name+"."+c.Durable+".>"] = true // one filter subject
			may["$JS.API.CONSUMER.CREATE."+s.Name+"."+c.Durable] = true      // several
		}
	}
	for _, name := range kept {
		for _, verb := range []string{"INFO", "CREATE", "UPDATE"} {
			may["$JS.API.STREAM."+verb+"."+name] = true
		}
	}
	may["$JS.API.INFO"] = true
}

// AccessConfig is the NATS configuration that lets every role do its own and nothing else.
// Their public keys are variables, one a role, in a file keys.conf that is included.
func AccessConfig() string {
	var b strings.Builder
	b.WriteString(`# Who may do what on the bus: a key for each service, with its own subjects alone.
# Written from the list of stages in shared/bus by make docs; do not change it by hand.
#
# The public keys are in keys.conf, which sluice nats init makes; the services are given the
# private ones by NATS_NKEY_FILE. docs/security/confluence-security.md says more.

include ./keys.conf

authorization {
  users: [
`)
	for _, r := range Roles {
		publish, subscribe := r.Permissions()
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
