package redis

import (
	"slices"
	"strings"

	"prober/internal/probe"
	"prober/internal/resp"
	"prober/internal/sorted"
	"prober/internal/text"
)

// A question asks whether a user may run a command.
type question struct {
	org     string // whose user
	of      string // whose key; empty: the command has none
	command string
	args    []string
	own     bool
}

// keyCommands read, change and delete a key. An application may need one or the other type of values.
var keyCommands = [][]string{{"get"}, {"hgetall"}, {"set", "x"}, {"hset", "x", "x"}, {"del"}, {"unlink"}, {"dump"}, {"expire", "1"}}

// commonCommands concern the keys of all orgs: they delete them, show what others do, or give rights. No application needs
// them for an org.
var commonCommands = [][]string{
	{"flushall"}, {"flushdb"}, {"swapdb", "0", "1"}, {"monitor"}, {"sync"}, {"psync", "?", "-1"}, {"config", "get", "maxmemory"}, {"config", "set", "maxmemory", "0"},
	{"acl", "setuser", "x"}, {"replicaof", "no", "one"}, {"failover"}, {"shutdown"}, {"debug", "jmap"}, {"module", "load", "x"}, {"bgsave"},
}

// questions are what is asked about each org: what its user may do with its own key and with those of the others, also with
// one that nobody has thought of.
func (p *Probe) questions() (all []question) {
	names := sorted.Keys(p.Orgs)
	canary := newCanary()
	for _, name := range names {
		for _, of := range names {
			for _, key := range []string{p.Orgs[of].Key, p.Orgs[of].Prefix + canary} {
				if key != p.Orgs[of].Key && (of == name || p.Orgs[of].Prefix == "") {
					continue
				}
				for _, c := range keyCommands {
					args := append([]string{"ACL", "DRYRUN", p.Orgs[name].User, c[0], key}, c[1:]...)
					all = append(all, question{org: name, of: of, command: strings.ToUpper(c[0]), args: args, own: of == name})
				}
			}
		}
		for _, c := range commonCommands {
			command := strings.ToUpper(c[0])
			if c[0] == "config" || c[0] == "acl" || c[0] == "module" {
				command += " " + strings.ToUpper(c[1])
			}
			all = append(all, question{org: name, command: command, args: append([]string{"ACL", "DRYRUN", p.Orgs[name].User}, c...)})
		}
	}
	return all
}

// A ruling is what the server says of a question.
type ruling int

const (
	unclear   ruling = iota
	granted          // the user may
	noKey            // it may run the command, but not with this key
	noCommand        // it may not run the command
)

// rule reads an answer of ACL DRYRUN.
func rule(answer string) ruling {
	switch {
	case answer == "OK":
		return granted
	case strings.Contains(answer, "no permissions to access"):
		return noKey
	case strings.Contains(answer, "no permissions to run"):
		return noCommand
	}
	return unclear
}

// acl asks the server what the users of the orgs may do. Each server has its own list of users.
func (v *visit) acl(conn *resp.Conn, r *probe.Result) {
	questions := v.probe.questions()
	batch := make([][]string, len(questions))
	for i, q := range questions {
		batch[i] = q.args
	}
	rulings := make([]ruling, len(questions))
	var refused error
	err := conn.Batch(batch, func(i int, answer resp.Value, err error) {
		switch {
		case err == nil:
			rulings[i] = rule(answer.Text)
		case questions[i].of == "" && resp.Absent(err):
			rulings[i] = noCommand
		case refused == nil:
			refused = err
		}
	})
	if err == nil {
		err = refused
	}
	o := judgeACL(questions, rulings)
	switch {
	case o.Reason.Breach:
		v.open.Store(true)
	case err != nil:
		o = explainACL(err)
	case o.Passed():
		v.kept.Add(1)
	}
	if o.Passed() {
		r.Pass(checkACL, "%s", o.Detail)
		return
	}
	r.Note(checkACL, o)
}

func explainACL(err error) probe.Outcome {
	switch o := resp.Explain(err); {
	case resp.Unsupported(err):
		return probe.Outcomef(resp.Unknown, "the server does not know ACL DRYRUN: that takes Redis 7")
	case o.Reason == resp.CommandFailed:
		return probe.Outcomef(probe.ControlFailed, "the server has no answer for one of the users: it may not exist")
	default:
		return o
	}
}

// judgeACL judges what the server says. That a user may not use the key of another org is proven only if it may run the command
// with its own: a user without rights, or one that does not exist, is refused everything.
func judgeACL(questions []question, rulings []ruling) probe.Outcome {
	may := map[[2]string]bool{} // org and command: with its own key
	for i, q := range questions {
		if q.own && rulings[i] == granted {
			may[[2]string{q.org, q.command}] = true
		}
	}
	var open, common, unproven []string
	proven := map[[2]string]int{} // org and other
	for i, q := range questions {
		switch pair := [2]string{q.org, q.of}; {
		case q.own:
		case q.of == "":
			switch rulings[i] {
			case granted:
				common = add(common, q.org+" may run "+q.command)
			case noCommand, noKey:
			case unclear:
				unproven = add(unproven, q.org+" with "+q.command)
			}
		case rulings[i] == granted:
			open = add(open, q.org+" may run "+q.command+" with a key of "+q.of)
		case rulings[i] == noKey && may[[2]string{q.org, q.command}]:
			proven[pair]++
		case rulings[i] == noCommand && !may[[2]string{q.org, q.command}]:
		case rulings[i] == noKey: // by another selector than that of its own key
		default:
			unproven = add(unproven, q.org+" with a key of "+q.of)
		}
	}
	for _, q := range questions {
		if q.of != "" && !q.own && proven[[2]string{q.org, q.of}] == 0 {
			unproven = add(unproven, q.org+" with a key of "+q.of)
		}
	}
	switch {
	case len(open) > 0:
		return probe.Outcomef(reasonACLOpen, "expected the users of orgs to have no right on each other's keys, but %s", text.List(open, 3))
	case len(common) > 0:
		return probe.Outcomef(reasonACLCommands, "expected the users of orgs to be kept from commands that concern all, but %s", text.List(common, 4))
	case len(unproven) > 0:
		return probe.Outcomef(probe.ControlFailed, "expected each user to be allowed a command with its own key and refused it with another's; that is not proven for %s", text.List(unproven, 3))
	}
	total := 0
	for _, n := range proven {
		total += n
	}
	return probe.Outcomef(probe.OK, "%s proven, each beside the same command that is allowed", text.Plural(total, "refusal is", "refusals are"))
}

// add appends what is not there yet.
func add(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}
