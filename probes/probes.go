// Package probes holds the kinds of probe, a package each. To add one: write its folder, and name it in Kinds.
package probes

import (
	"prober/internal/probe"
	"prober/probes/clock"
	"prober/probes/contract"
	"prober/probes/deploys"
	"prober/probes/dns"
	"prober/probes/exec"
	"prober/probes/grpc"
	"prober/probes/guard"
	"prober/probes/health"
	"prober/probes/heartbeat"
	"prober/probes/http"
	"prober/probes/icmp"
	"prober/probes/isolation"
	"prober/probes/jwks"
	"prober/probes/pods"
	"prober/probes/promql"
	"prober/probes/protected"
	"prober/probes/redis"
	"prober/probes/rls"
	"prober/probes/sql"
	"prober/probes/targets"
	"prober/probes/tcp"
	"prober/probes/tls"
	"prober/probes/token"
	"prober/probes/webhook"
	"prober/probes/websocket"
)

// Kinds is the table of contents: the word after "type:" and the kind it stands for.
func Kinds() probe.Kinds {
	return probe.Kinds{
		"clock":     clock.Kind(),
		"contract":  contract.Kind(),
		"deploys":   deploys.Kind(),
		"dns":       dns.Kind(),
		"exec":      exec.Kind(),
		"grpc":      grpc.Kind(),
		"guard":     guard.Kind(),
		"health":    health.Kind(),
		"heartbeat": heartbeat.Kind(),
		"http":      http.Kind(),
		"icmp":      icmp.Kind(),
		"isolation": isolation.Kind(),
		"jwks":      jwks.Kind(),
		"pods":      pods.Kind(),
		"promql":    promql.Kind(),
		"protected": protected.Kind(),
		"redis":     redis.Kind(),
		"rls":       rls.Kind(),
		"sql":       sql.Kind(),
		"targets":   targets.Kind(),
		"tcp":       tcp.Kind(),
		"tls":       tls.Kind(),
		"token":     token.Kind(),
		"webhook":   webhook.Kind(),
		"websocket": websocket.Kind(),
	}
}
