package arch

// A row lists what the code of a package, without its tests, may import besides the standard library.
type row struct {
	ours   []string // packages of this module, by their path below it
	theirs []string // packages of other modules, or whole modules
}

// forAll is what any package may import: it knows nothing of probes.
var forAll = []string{"internal/drop", "internal/sorted"}

// forKinds is what any kind of probe may import. A kind has a row only if it needs more. Kinds never import each other.
var forKinds = []string{
	"internal/dial", "internal/httpx", "internal/jsonpath", "internal/memory", "internal/probe", "internal/secret", "internal/text",
	"probes/internal/budget", "probes/internal/control", "probes/internal/expect", "probes/internal/limits", "probes/internal/replicas",
}

// rows is the table that decides. A package without a row fails the test: to add one is a decision about the layout,
// made here and seen in review. Siblings do not see each other; only cmd/prober sees all.
var rows = map[string]row{
	"internal/encoded":   {},
	"internal/file":      {},
	"internal/secret":    {ours: []string{"internal/encoded", "internal/file"}},
	"internal/text":      {},
	"internal/html":      {theirs: []string{"maragu.dev/gomponents"}},
	"internal/drop":      {},
	"internal/sorted":    {},
	"internal/xmldoc":    {},
	"internal/probe":     {ours: []string{"internal/memory", "internal/secret", "internal/text"}},
	"internal/canary":    {ours: []string{"internal/encoded"}},
	"internal/selector":  {},
	"internal/schedule":  {ours: []string{"internal/probe"}},
	"internal/memory":    {},
	"internal/stats":     {},
	"internal/jsonpath":  {ours: []string{"internal/memory"}, theirs: []string{"github.com/theory/jsonpath"}},
	"internal/oauth":     {},
	"internal/signature": {ours: []string{"internal/jwk"}},
	"internal/jwk":       {ours: []string{"internal/memory"}, theirs: []string{"github.com/go-jose/go-jose/v4"}},
	"internal/dial":      {ours: []string{"internal/file", "internal/probe", "internal/text"}, theirs: []string{"golang.org/x/net", "golang.org/x/sys"}},
	"internal/httpx": {
		ours:   []string{"internal/dial", "internal/encoded", "internal/probe", "internal/secret", "internal/text", "internal/jsonpath", "internal/memory", "internal/oauth"},
		theirs: []string{"github.com/hashicorp/go-retryablehttp", "golang.org/x/net"},
	},
	"internal/pgwire":     {},
	"internal/postgres":   {ours: []string{"internal/dial", "internal/memory", "internal/pgwire", "internal/probe", "internal/secret", "internal/text"}},
	"internal/kubernetes": {ours: []string{"internal/dial", "internal/httpx", "internal/jsonpath", "internal/memory", "internal/probe", "internal/secret"}},
	"internal/discovery":  {ours: []string{"internal/file", "internal/probe", "internal/strictyaml"}, theirs: []string{"gopkg.in/yaml.v3"}},
	"internal/timesync":   {ours: []string{"internal/dial", "internal/probe", "internal/text"}, theirs: []string{"github.com/beevik/ntp"}},
	"internal/resp":       {ours: []string{"internal/dial", "internal/memory", "internal/probe", "internal/secret"}},
	"internal/exposition": {theirs: []string{
		"github.com/prometheus/client_model", "github.com/prometheus/common/expfmt", "google.golang.org/protobuf",
	}},
	"internal/strictyaml": {ours: []string{"internal/text"}, theirs: []string{"gopkg.in/yaml.v3"}},
	"internal/metrics": {
		ours: []string{"internal/exposition", "internal/probe"},
		theirs: []string{
			"github.com/prometheus/client_golang", "github.com/prometheus/client_model",
			"github.com/prometheus/common/expfmt", "github.com/prometheus/common/model",
		},
	},
	"internal/alerts":    {ours: []string{"internal/probe", "internal/strictyaml"}, theirs: []string{"gopkg.in/yaml.v3"}},
	"internal/notify":    {ours: []string{"internal/httpx", "internal/probe", "internal/secret"}},
	"internal/importer":  {ours: []string{"internal/probe", "internal/strictyaml", "internal/text"}, theirs: []string{"gopkg.in/yaml.v3"}},
	"internal/command":   {},
	"internal/coverage":  {ours: []string{"internal/probe", "internal/selector", "internal/text"}, theirs: []string{"gopkg.in/yaml.v3"}},
	"internal/manifests": {ours: []string{"internal/kubernetes", "internal/text"}, theirs: []string{"gopkg.in/yaml.v3"}},
	"internal/report":    {ours: []string{"internal/probe", "internal/text", "internal/xmldoc"}},
	"internal/history":   {ours: []string{"internal/probe", "internal/text"}, theirs: []string{"go.etcd.io/bbolt"}},
	"internal/incident":  {ours: []string{"internal/probe", "internal/text"}},
	"internal/web":       {ours: []string{"internal/html", "internal/probe", "internal/text"}, theirs: []string{"golang.org/x/time", "maragu.dev/gomponents"}},
	"internal/inbound":   {ours: []string{"internal/memory", "internal/probe", "internal/secret"}, theirs: []string{"golang.org/x/time/rate"}},
	"internal/webconfig": {ours: []string{"internal/file", "internal/strictyaml", "internal/text"}, theirs: []string{"golang.org/x/crypto/bcrypt", "golang.org/x/time/rate", "gopkg.in/yaml.v3"}},
	"internal/public":    {ours: []string{"internal/file", "internal/html", "internal/probe", "internal/secret", "internal/strictyaml", "internal/text", "internal/xmldoc"}, theirs: []string{"gopkg.in/yaml.v3", "maragu.dev/gomponents"}},
	"internal/sandbox":   {ours: []string{"internal/pgwire", "internal/resp", "internal/text"}, theirs: []string{"github.com/go-jose/go-jose/v4", "golang.org/x/net"}},
	"config": {
		ours:   []string{"internal/file", "internal/probe", "internal/secret", "internal/text", "internal/strictyaml"},
		theirs: []string{"gopkg.in/yaml.v3"},
	},
	"probes":           {ours: []string{"internal/probe"}}, // and every kind
	"probes/clock":     {ours: append(forKinds, "internal/jwk", "internal/postgres", "internal/resp", "internal/timesync", "probes/internal/issuance")},
	"probes/contract":  {ours: append(forKinds, "internal/selector", "probes/internal/exposed"), theirs: []string{"github.com/prometheus/client_model", "github.com/prometheus/common/model"}},
	"probes/exec":      {ours: append(forKinds, "internal/command", "internal/selector", "probes/internal/exposed")},
	"probes/grpc":      {ours: forKinds, theirs: []string{"google.golang.org/protobuf/encoding/protowire"}},
	"probes/guard":     {ours: append(forKinds, "internal/canary", "probes/internal/breach")},
	"probes/isolation": {ours: append(forKinds, "internal/canary", "probes/internal/breach")},
	"probes/jwks":      {ours: append(forKinds, "internal/jwk", "probes/internal/issuance"), theirs: []string{"github.com/go-jose/go-jose/v4"}},
	"probes/deploys":   {ours: append(forKinds, "internal/kubernetes")},
	"probes/dns":       {ours: forKinds, theirs: []string{"golang.org/x/net"}},
	"probes/pods":      {ours: append(forKinds, "internal/kubernetes")},
	"probes/promql":    {ours: append(forKinds, "internal/stats")},
	"probes/protected": {ours: append(forKinds, "internal/jwk"), theirs: []string{"github.com/go-jose/go-jose/v4"}},
	"probes/redis":     {ours: append(forKinds, "internal/resp", "probes/internal/breach")},
	"probes/rls":       {ours: append(forKinds, "internal/canary", "internal/postgres", "probes/internal/breach")},
	"probes/targets":   {ours: append(forKinds, "internal/discovery", "internal/kubernetes")},
	"probes/sql":       {ours: append(forKinds, "internal/postgres")},
	"probes/tcp":       {ours: append(forKinds, "probes/internal/dialogue")},
	"probes/tls":       {ours: append(forKinds, "probes/internal/dialogue")},
	"probes/webhook":   {ours: append(forKinds, "internal/jwk", "internal/signature", "internal/timesync", "probes/internal/issuance")},
	"probes/token":     {ours: append(forKinds, "internal/jwk", "internal/oauth", "probes/internal/issuance")},

	"probes/internal/breach":   {ours: []string{"internal/probe"}},
	"probes/internal/budget":   {},
	"probes/internal/control":  {},
	"probes/internal/dialogue": {ours: []string{"internal/httpx", "internal/probe", "internal/text", "probes/internal/expect"}},
	"probes/internal/exposed": {
		ours:   []string{"internal/memory"},
		theirs: []string{"github.com/prometheus/client_model", "github.com/prometheus/common/expfmt", "github.com/prometheus/common/model"},
	},
	"probes/internal/expect":    {ours: []string{"internal/httpx", "internal/jsonpath", "internal/probe", "internal/text"}},
	"probes/internal/issuance":  {ours: []string{"internal/httpx", "internal/jwk", "internal/oauth", "internal/probe", "internal/secret"}},
	"probes/internal/limits":    {ours: []string{"internal/probe"}},
	"probes/internal/replicas":  {ours: []string{"internal/dial", "internal/probe", "internal/text"}},
	"probes/internal/probetest": {ours: []string{"internal/probe", "internal/jsonpath"}}, // for tests only
	"cmd/prober": {
		ours: []string{
			"config", "probes", "internal/secret", "internal/probe", "internal/schedule", "internal/text", "internal/httpx",
			"internal/file", "internal/jsonpath", "internal/memory", "internal/metrics", "internal/report", "internal/history", "internal/inbound", "internal/incident", "internal/public", "internal/web", "internal/webconfig", "internal/alerts", "internal/notify", "internal/dial", "internal/coverage", "internal/discovery", "internal/importer", "internal/manifests", "internal/sandbox",
		},
		theirs: []string{
			"gopkg.in/yaml.v3",
			"github.com/prometheus/common/promslog", "github.com/prometheus/common/version",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/term",
		},
	},

	// Tools: no program imports them.
	"internal/arch":    {},
	"internal/testenv": {theirs: []string{"github.com/jackc/pgx/v5/pgproto3", "golang.org/x/net"}},
	"internal/endure":  {},
	"internal/mutate":  {},
	"internal/notices": {},
	"internal/bench": {
		ours:   []string{"config", "internal/sandbox"},
		theirs: []string{"github.com/beevik/ntp", "github.com/prometheus/client_golang", "golang.org/x/net", "gopkg.in/yaml.v3"},
	},
}

// forTests are modules that tests may import in addition to those of all rows. They are not in the binary.
var forTests = []string{
	"github.com/rogpeppe/go-internal",          // testscript: stories of the binary
	"github.com/santhosh-tekuri/jsonschema/v6", // an independent check of the schema
	"github.com/jackc/pgx/v5/pgconn",           // an independent client of PostgreSQL
	"golang.org/x/text",                        // what Unicode's normalization changes
	"go.uber.org/goleak",
}

// topLevel is everything that may be at the top of the repository, except dotfiles.
var topLevel = []string{
	"cmd", "probes", "config", "internal", "docs",
	"go.mod", "go.sum", "Dockerfile", "Makefile", "README.md", "LICENSE", "CHANGELOG.md",
}

// The budget of the binary. Exceeding it usually means a library that is not needed.
const (
	maxModules = 45
	maxBytes   = 22_000_000
)
