package sandbox

import (
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The orgs of the tokens that auth issues.
const (
	activeOrg    = "org-a"
	suspendedOrg = "org-suspended"
)

// A keyring holds the keys that are generated once for each sandbox.
type keyring struct {
	ibex, logi []jose.JSONWebKey // of auth and of the login API; the first signs
	revoked    jose.JSONWebKey   // of auth, and in no key set
	conflict   jose.JSONWebKey   // has the id of the key with which auth signs

	unpublished func() (jose.JSONWebKey, error) // of the login API, and in no key set
}

func newKeyring() (keyring, error) {
	k := keyring{
		ibex: make([]jose.JSONWebKey, 2),
		logi: make([]jose.JSONWebKey, 2),

		unpublished: sync.OnceValues(func() (jose.JSONWebKey, error) { return newKey(unpublishedKid, jose.RS256) }),
	}
	for _, key := range []struct {
		kid string
		alg jose.SignatureAlgorithm
		key *jose.JSONWebKey
	}{
		{ibexKid, jose.ES256, &k.ibex[0]},
		{ibexOldKid, jose.ES256, &k.ibex[1]},
		{logiKid, jose.RS256, &k.logi[0]},
		{logiOldKid, jose.ES256, &k.logi[1]},
		{ibexRevokedKid, jose.ES256, &k.revoked},
		{ibexKid, jose.ES256, &k.conflict},
	} {
		var err error
		if *key.key, err = newKey(key.kid, key.alg); err != nil {
			return keyring{}, err
		}
	}
	return k, nil
}

// How long before the start the stored tokens were issued, and one of them expired.
const (
	issuedBefore    = 2 * time.Hour
	expiredBefore   = time.Hour
	storedTokenLife = 30 * 24 * time.Hour
)

// newStoredTokens returns tokens of an issuer, and the key ids and public keys of a verifier, by the names of their
// variables. Each bad token differs from the valid one in one property, so that only that can be the reason to refuse it.
func newStoredTokens(i *issuer) (map[string]string, error) {
	now := time.Now()
	valid := i.claims(clientID)
	valid.IssuedAt = jwt.NewNumericDate(now.Add(-issuedBefore))
	valid.NotBefore = valid.IssuedAt
	valid.Expiry = jwt.NewNumericDate(now.Add(storedTokenLife))

	ended, back, barred := valid, valid, valid
	ended.Expiry = jwt.NewNumericDate(now.Add(-expiredBefore))
	back.ID = i.claims(clientID).ID
	barred.Org = suspendedOrg
	i.revoke(back)

	pem, err := pemBundle(i.public())
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"PROBER_DEMO_KID":             ibexKid,
		"PROBER_DEMO_REVOKED_KID":     ibexRevokedKid,
		"PROBER_DEMO_ONEPASS_KID":     logiKid,
		"PROBER_DEMO_PUBLIC_KEYS_PEM": strings.ReplaceAll(pem, "\n", `\n`), // as it is written in a variable of one line
	}
	for name, c := range map[string]claims{
		"PROBER_DEMO_TOKEN_VALID":     valid,
		"PROBER_DEMO_TOKEN_EXPIRED":   ended,
		"PROBER_DEMO_TOKEN_REVOKED":   back,
		"PROBER_DEMO_TOKEN_SUSPENDED": barred,
	} {
		if all[name], err = sign(i.keys[0], c); err != nil {
			return nil, err
		}
	}
	return all, nil
}
