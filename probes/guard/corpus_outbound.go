package guard

// clickhouseOutbound are ways by which ClickHouse reads a file or opens a connection. They name a file that does not exist and
// a port of the server itself at which nothing listens, and are asked only if the settings name this corpus.
func clickhouseOutbound() []testCase {
	return []testCase{
		{"outbound", "file", "SELECT * FROM file('prober-missing-file.csv', 'CSV', 'line String') {end}"},
		{"outbound", "file_scalar", "SELECT file('prober-missing-file.csv') {end}"},
		{"outbound", "into_outfile", "SELECT {select} FROM {table}{where} {limit} INTO OUTFILE '/prober-missing-folder/rows'{settings}"},
		{"outbound", "url", "SELECT * FROM url('http://127.0.0.1:9/prober', 'CSV', 'line String') {limit} SETTINGS http_max_tries = 1{also}"},
		{"outbound", "s3", "SELECT * FROM s3('http://127.0.0.1:9/prober/prober.csv', 'CSV', 'line String') {limit} SETTINGS s3_retry_attempts = 0{also}"},
		{"outbound", "remote", "SELECT {select} FROM remote('127.0.0.1:9', {database}, '{name}'){where} {end}"},
		{"outbound", "remote_secure", "SELECT {select} FROM remoteSecure('127.0.0.1:9', {database}, '{name}'){where} {end}"},
		{"outbound", "cluster", "SELECT {select} FROM cluster('prober_missing_cluster', {database}, '{name}'){where} {end}"},
		{"outbound", "cluster_all_replicas", "SELECT {select} FROM clusterAllReplicas('prober_missing_cluster', {database}, '{name}'){where} {end}"},
		{"outbound", "mysql", "SELECT * FROM mysql('127.0.0.1:9', 'prober', 'prober', 'prober', 'prober') {end}"},
		{"outbound", "postgresql", "SELECT * FROM postgresql('127.0.0.1:9', 'prober', 'prober', 'prober', 'prober') {end}"},
		{"outbound", "redis", "SELECT * FROM redis('127.0.0.1:9', 'key', 'key String, value String') {end}"},
	}
}
