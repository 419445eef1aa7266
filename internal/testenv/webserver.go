package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// HAProxy starts HAProxy with the frontends and backends of a configuration.
func HAProxy(t testing.TB, conf string) *Process {
	t.Helper()
	const defaults = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n"
	return Start(t, Need(t, "haproxy"), "-db", "-f", configFile(t, t.TempDir(), defaults+conf))
}

// Nginx starts nginx with the contents of a server block.
func Nginx(t testing.TB, server string) *Process {
	t.Helper()
	dir := t.TempDir()
	conf := configFile(t, dir, fmt.Sprintf(`daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { %[2]s }
}
`, dir, server))
	return Start(t, Need(t, "nginx"), "-p", dir, "-c", conf, "-e", "stderr")
}

// Apache starts Apache with one process of some workers, mod_status, and the directives of a configuration.
func Apache(t testing.TB, workers int, directives string) *Process {
	t.Helper()
	dir := t.TempDir()
	conf := configFile(t, dir, fmt.Sprintf(`ServerRoot %[1]s
ServerName 127.0.0.1
DefaultRuntimeDir %[1]s
PidFile %[1]s/apache.pid
ErrorLog /dev/stderr
User nobody
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule status_module /usr/lib/apache2/modules/mod_status.so
StartServers 1
ServerLimit 1
ThreadsPerChild %[2]d
MaxRequestWorkers %[2]d
MinSpareThreads 1
%[3]s
`, dir, workers, directives))
	return Start(t, Need(t, "apache2"), "-D", "FOREGROUND", "-f", conf)
}

func configFile(t testing.TB, dir, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "server.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
