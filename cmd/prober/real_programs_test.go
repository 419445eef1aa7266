package main

import (
	"fmt"
	"strings"
	"testing"

	"prober/internal/testenv"
)

// TestReal_exec runs Debian's plugins of Nagios.
func TestReal_exec(t *testing.T) {
	testenv.Real(t)
	const plugins = "/usr/lib/nagios/plugins/"
	testenv.Need(t, plugins+"check_dummy")
	var probes strings.Builder
	probes.WriteString("system: host\ntimeout: 10s\nprobes:\n")
	want := map[string]string{}
	add := func(name, command, settings, line string) {
		fmt.Fprintf(&probes, "  - {name: %s, type: exec, command: [%s%s]%s}\n", name, plugins, command, settings)
		want[name] = line
	}
	add("good", `check_dummy, "0", fine`, "", "pass: OK: fine")
	add("warning", `check_dummy, "1", soon`, "", "pass: WARNING: soon")
	add("warning-fails", `check_dummy, "1", soon`, ", fail_on_warning: true", "fail: WARNING: soon")
	add("critical", `check_dummy, "2", bad`, "", "fail: CRITICAL: bad")
	add("unknown", `check_dummy, "3", odd`, "", "inconclusive: UNKNOWN: odd")
	add("disk", `check_disk, -w, "1%", -c, "0%", -p, /`, ", values: {/: {}}", "pass: DISK OK")
	add("load", `check_load, -w, "1000,1000,1000", -c, "2000,2000,2000"`, ", values: {load1: {max: 1000}}", "pass: ")
	add("too-much", `check_load, -w, "1000,1000,1000", -c, "2000,2000,2000"`, ", values: {load1: {max: -1}}", "fail: load1")
	add("refused", fmt.Sprintf(`check_tcp, -H, 127.0.0.1, -p, "%d"`, testenv.FreePort(t)), "", "fail: ")
	add("no-arguments", "check_tcp", "", "inconclusive: ")
	wantSaid(t, writeFile(t, t.TempDir(), "prober.yaml", probes.String()), want, "--allow-exec")
}

// TestReal_websocket talks to npm's ws.
func TestReal_websocket(t *testing.T) {
	testenv.Real(t)
	port := testenv.FreePort(t)
	testenv.WebSocket(t, port)
	waitForPort(t, port)
	var probes strings.Builder
	probes.WriteString("system: chat\ntimeout: 2s\nprobes:\n")
	want := map[string]string{}
	add := func(name, path, settings, line string) {
		fmt.Fprintf(&probes, "  - {name: %s, type: websocket, url: \"ws://127.0.0.1:%d%s\"%s}\n", name, port, path, settings)
		want[name] = line
	}
	const says = ", dialogue: [{send: hello}, {expect: hello}]"
	add("echo", "/echo", ", subprotocols: [chat.v1]"+says+", ping: true", "pass: subprotocol chat.v1")
	add("binary", "/echo", ", dialogue: [{send_binary: AAEC}, {expect_binary: AAEC}]", "pass: 2 steps as expected")
	add("another-subprotocol", "/echo", ", subprotocols: [chat.v2]", "fail: expected one of the subprotocols chat.v2, got none")
	add("another-message", "/echo", ", dialogue: [{send: hello}, {expect: goodbye}]", "fail: 1 message that does not match")
	add("error", "/error", says, "fail: closed the WebSocket with 1011")
	add("cut", "/cut", says, "fail: (waiting for dialogue[1])")
	add("silent", "/silent", says, "fail: ")
	add("missing", "/none", "", "fail: expected 101, got 404")
	wantSaid(t, writeFile(t, t.TempDir(), "prober.yaml", probes.String()), want)
}
