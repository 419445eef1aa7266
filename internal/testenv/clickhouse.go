package testenv

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	//go:embed chdb/package-lock.json
	chdbLock []byte
	//go:embed chdb/bridge.js
	chdbBridge []byte
)

// ChDB starts the engine of a current ClickHouse behind a part of its HTTP interface, and returns its URL. The parameter
// additional_table_filters is a setting of the server, which no query has set.
func ChDB(t testing.TB) string {
	t.Helper()
	Real(t)
	node, modules := Need(t, "node"), npmModules(t, chdbLock, "chdb")
	dir := t.TempDir()
	script := filepath.Join(dir, "bridge.js")
	if err := os.WriteFile(script, chdbBridge, 0o600); err != nil {
		t.Fatal(err)
	}
	port := FreePort(t)
	cmd := exec.Command(node, script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CHDB_MODULES="+modules, "CHDB_DATA="+filepath.Join(dir, "data"), fmt.Sprintf("CHDB_PORT=%d", port))
	StartCmd(t, cmd)
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	Answers(t, url, "")
	return url
}

// clickHouse18 is the configuration of a server with everything in one folder, which listens on loopback alone.
const clickHouse18 = `<?xml version="1.0"?>
<yandex>
	<logger><level>fatal</level><console>1</console></logger>
	<http_port>%d</http_port>
	<listen_host>127.0.0.1</listen_host>
	<path>%[2]s/data/</path>
	<tmp_path>%[2]s/tmp/</tmp_path>
	<user_files_path>%[2]s/files/</user_files_path>
	<users_config>users.xml</users_config>
	<default_profile>default</default_profile>
	<default_database>default</default_database>
	<mark_cache_size>5368709</mark_cache_size>
	<timezone>UTC</timezone>
</yandex>`

// clickHouse18Users has a user who may do anything, and one who may only read.
const clickHouse18Users = `<?xml version="1.0"?>
<yandex>
	<profiles>
		<default><max_memory_usage>1000000000</max_memory_usage></default>
		<readonly><readonly>1</readonly><max_execution_time>3</max_execution_time></readonly>
	</profiles>
	<users>
		<default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default>
		<reader><password></password><networks><ip>127.0.0.1</ip></networks><profile>readonly</profile><quota>default</quota></reader>
	</users>
	<quotas><default></default></quotas>
</yandex>`

// ClickHouse starts Debian's ClickHouse server, which is of 2018, and returns the URL of its HTTP interface. Beside the default
// user it has one, reader, who may only read and who has a limit of time.
func ClickHouse(t testing.TB) string {
	t.Helper()
	Real(t)
	server := Need(t, "clickhouse-server")
	dir, port := t.TempDir(), FreePort(t)
	for name, text := range map[string]string{"config.xml": fmt.Sprintf(clickHouse18, port, dir), "users.xml": clickHouse18Users} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(server, "--config-file="+filepath.Join(dir, "config.xml"))
	cmd.Dir = dir
	StartCmd(t, cmd)
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	Answers(t, url+"ping", "")
	return url
}
