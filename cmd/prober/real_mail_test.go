package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestReal_mail asks Debian's OpenSSH, Postfix, Dovecot, vsftpd and OpenSSL what tcp and tls ask, STARTTLS included. Postfix as it
// is by default accepts TLS 1.0, which the probe must find; nothing is relayed, and there is no account.
func TestReal_mail(t *testing.T) {
	testenv.Real(t)
	if os.Getuid() != 0 {
		t.Skip("Postfix and Dovecot start as root only")
	}
	dir, err := os.MkdirTemp("", "mail") // below what every user may read, unlike a folder of the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cert, key := certificate(t, 90*24*time.Hour)
	writeFile(t, dir, "cert.pem", cert)
	writeFile(t, dir, "key.pem", key)
	ports := map[string]int{}
	for _, name := range []string{"ssh", "smtp", "imap", "imaps", "pop3", "ftp", "old", "new", "mutual"} {
		ports[name] = testenv.FreePort(t)
	}
	startSSH(t, dir, ports["ssh"])
	startPostfix(t, dir, ports["smtp"])
	startDovecot(t, dir, ports)
	ftp := writeFile(t, dir, "vsftpd.conf", fmt.Sprintf("listen=YES\nbackground=NO\nlisten_address=127.0.0.1\nlisten_port=%d\nanonymous_enable=NO\nlocal_enable=YES\nssl_enable=YES\n"+
		"rsa_cert_file=%[2]s/cert.pem\nrsa_private_key_file=%[2]s/key.pem\nsecure_chroot_dir=%[2]s\n", ports["ftp"], dir))
	testenv.Start(t, testenv.Need(t, "vsftpd"), ftp)
	for name, args := range map[string][]string{
		"old": {"-min_protocol", "TLSv1", "-cipher", "ALL:@SECLEVEL=0"}, "new": nil, "mutual": {"-Verify", "1", "-CAfile", "cert.pem", "-verify_return_error"},
	} {
		cmd := exec.Command(testenv.Need(t, "openssl"), append([]string{
			"s_server", "-accept", "127.0.0.1:" + strconv.Itoa(ports[name]), "-cert", "cert.pem", "-key", "key.pem", "-quiet",
		}, args...)...)
		cmd.Dir = dir
		testenv.StartCmd(t, cmd)
	}
	for name, port := range ports {
		testenv.Eventually(t, time.Minute, func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				conn.Close()
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		})
	}

	var probes strings.Builder
	probes.WriteString("system: mail\ntimeout: 10s\nprobes:\n")
	want := map[string]string{}
	add := func(name, port, settings, line string) {
		fmt.Fprintf(&probes, "  - {name: %s, address: \"127.0.0.1:%d\", %s}\n", name, ports[port], settings)
		want[name] = line
	}
	const pass, trust = "ok", "tls: {ca_file: cert.pem}"
	add("ssh", "ssh", "type: tcp, protocol: ssh", pass)
	add("imaps", "imaps", "type: tcp, protocol: imap, "+trust, pass)
	for _, name := range []string{"smtp", "imap", "pop3", "ftp"} {
		add(name, name, "type: tcp, protocol: "+name+", starttls: true, "+trust, pass)
		refused := pass
		if name == "smtp" {
			refused = "expected TLS 1.0 and 1.1 to be refused, got a handshake"
		}
		add(name+"-tls", name, `type: tls, refused_versions: ["1.0", "1.1"], certificate: {fail: 14d}, starttls: `+name+", "+trust, refused)
	}
	add("no-starttls", "ssh", "type: tls, starttls: smtp, "+trust, "got 1 line that does not (the greeting)")
	add("old", "old", `type: tls, refused_versions: ["1.0", "1.1"], `+trust, "expected TLS 1.0 and 1.1 to be refused, got a handshake")
	add("new", "new", `type: tls, version: "1.3", refused_versions: ["1.0", "1.1", "1.2"], `+trust, "expected TLS 1.2 to be refused, got a handshake")
	add("ending", "new", "type: tls, certificate: {fail: 100d}, "+trust, "expected a certificate valid for another 100d")
	add("untrusted", "new", "type: tls", "the certificate")
	add("mutual", "mutual", "type: tls, client_certificate: required, tls: {ca_file: cert.pem, cert_file: cert.pem, key_file: key.pem}", pass)
	runs, err := strconv.Atoi(testenv.Runs())
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, dir, "prober.yaml", probes.String())
	for range runs {
		for _, p := range askOnce(t, file, len(want)) {
			said := p.said(false)
			if line := want[p.Name]; line == pass && p.Verdict != "pass" || line != pass && (p.Verdict != "fail" || !strings.Contains(said, line)) {
				t.Errorf("%s: expected %q, got %s: %s", p.Name, line, p.Verdict, said)
			}
		}
	}
}

func startSSH(t *testing.T, dir string, port int) {
	t.Helper()
	host := filepath.Join(dir, "hostkey")
	if _, err := testenv.Run(t, exec.Command(testenv.Need(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", host)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	testenv.Start(t, testenv.Need(t, "sshd"), "-D", "-e", "-f", "/dev/null", "-p", strconv.Itoa(port), "-o", "ListenAddress=127.0.0.1",
		"-o", "HostKey="+host, "-o", "UsePAM=no", "-o", "PidFile=none")
}

// startPostfix starts an SMTP server with a configuration and a queue of its own, which accepts mail for nobody.
func startPostfix(t *testing.T, dir string, port int) {
	t.Helper()
	etc, data := filepath.Join(dir, "etc"), filepath.Join(dir, "data")
	for _, d := range []string{etc, data, filepath.Join(dir, "spool")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	if err := os.Chown(data, uid, -1); err != nil {
		t.Fatal(err)
	}
	writeFile(t, etc, "main.cf", strings.ReplaceAll(`compatibility_level = 3.6
queue_directory = DIR/spool
data_directory = DIR/data
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
mydestination =
smtpd_relay_restrictions = reject
smtpd_tls_cert_file = DIR/cert.pem
smtpd_tls_key_file = DIR/key.pem
smtpd_tls_security_level = may
smtpd_tls_mandatory_protocols = >=TLSv1
maillog_file = DIR/log
maillog_file_prefixes = /
myhostname = mail.test
`, "DIR", dir))
	writeFile(t, etc, "master.cf", fmt.Sprintf(`%d inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
`, port))
	writeFile(t, etc, "dynamicmaps.cf", "")
	files, err := os.ReadFile("/etc/postfix/postfix-files")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, etc, "postfix-files", string(files))
	postfix := testenv.Need(t, "postfix")
	if _, err := testenv.Run(t, exec.Command(postfix, "-c", etc, "check")); err != nil {
		t.Fatal(err)
	}
	testenv.Start(t, postfix, "-c", etc, "start-fg")
	t.Cleanup(func() { // its master is in a process group of its own
		if out, err := exec.Command(postfix, "-c", etc, "stop").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func startDovecot(t *testing.T, dir string, ports map[string]int) {
	t.Helper()
	conf := strings.NewReplacer("DIR", dir, "IMAPS", strconv.Itoa(ports["imaps"]), "IMAP", strconv.Itoa(ports["imap"]), "POP3", strconv.Itoa(ports["pop3"])).Replace(`
base_dir = DIR/run
state_dir = DIR/state
listen = 127.0.0.1
protocols = imap pop3
ssl = yes
ssl_cert = <DIR/cert.pem
ssl_key = <DIR/key.pem
log_path = /dev/stderr
service imap-login {
  inet_listener imap {
    port = IMAP
  }
  inet_listener imaps {
    port = IMAPS
  }
}
service pop3-login {
  inet_listener pop3 {
    port = POP3
  }
  inet_listener pop3s {
    port = 0
  }
}
passdb {
  driver = passwd-file
  args = DIR/nobody
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
`)
	writeFile(t, dir, "nobody", "")
	testenv.Start(t, testenv.Need(t, "dovecot"), "-F", "-c", writeFile(t, dir, "dovecot.conf", conf))
}
