// Command vault is the core and the HTTP API of HashiCorp's Vault with its key-value store, in memory, for tests. Each
// address among its arguments is a node of one cluster: one address is a server as `vault server -dev` starts it, but
// sealed, and more are a highly available cluster of which all but one node are standbys.
package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/command/server"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})
	store, err := inmem.NewInmemHA(nil, logger)
	if err != nil {
		log.Fatal(err)
	}
	failed := make(chan error)
	for _, address := range os.Args[1:] {
		if err := serve(address, store, logger, failed); err != nil {
			log.Fatal(err)
		}
	}
	log.Fatal(<-failed)
}

// serve starts a node. Its address among the cluster is a port of 127.0.0.1 that the system chooses.
func serve(address string, store physical.Backend, logger hclog.Logger, failed chan<- error) error {
	cluster, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	clusterAddress := cluster.Addr().(*net.TCPAddr)
	cluster.Close()
	core, err := vault.NewCore(&vault.CoreConfig{
		BuiltinRegistry: builtins{"kv"},
		LogicalBackends: map[string]logical.Factory{"kv": kv.Factory},
		Physical:        store,
		HAPhysical:      store.(physical.HABackend),
		RawConfig:       &server.Config{SharedConfig: &configutil.SharedConfig{}},
		Logger:          logger,
		DisableMlock:    true,
		RedirectAddr:    "http://" + address,
		ClusterAddr:     "https://" + clusterAddress.String(),
		DefaultLeaseTTL: time.Hour,
		MaxLeaseTTL:     time.Hour,
	})
	if err != nil {
		return err
	}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
	core.SetClusterListenerAddrs([]*net.TCPAddr{clusterAddress})
	core.SetClusterHandler(handler)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() { failed <- http.Serve(listener, handler) }()
	return nil
}

// builtins are the names of the secrets engines that the server has. The real list links every cloud's client library.
type builtins []string

func (b builtins) Contains(name string, kind consts.PluginType) bool {
	return kind == consts.PluginTypeSecrets && slices.Contains(b, name)
}

func (b builtins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	return func() (any, error) { return logical.Factory(kv.Factory), nil }, b.Contains(name, kind)
}

func (b builtins) Keys(kind consts.PluginType) []string {
	if kind != consts.PluginTypeSecrets {
		return nil
	}
	return b
}

func (b builtins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, kind)
}

func (builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
