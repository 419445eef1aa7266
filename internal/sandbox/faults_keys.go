package sandbox

// Lines of the runbooks that several tables cite.
const (
	allVerifiers = "Verify JWT_KEY_ID_CURRENT matches a key in JWT_PUBLIC_KEYS_PEM on all verifiers"
	compromise   = "Tenant isolation breach, secret compromise, auth bypass, proxy total outage"
	loginsDown   = "JWKS unresponsive — every RP login is down"
)

const protectedRoute = "POST /v1/chat/completions"

// keyFaults break the key sets. A replica of the proxy that publishes other keys also verifies with them, as a real one
// would.
func keyFaults() []Fault {
	proxies := []string{proxy1, proxy2, proxy3}
	everywhere := append([]string{auth}, proxies...)
	second := []string{proxy2}
	issues, api := []string{auth}, []string{onepass}
	const (
		mismatch = "JWT key rotation mismatch (kid not in keyset)"
		strength = "RFC 7518, section 3.3: a key of size 2048 bits or larger must be used"
		unknown  = "RFC 7517, section 5: key types that are not understood should be ignored"
		active   = "Check that the current active kid is included in the response"
		drill    = "it automatically revokes the key, issues a new one"
		ttl      = "RP-side JWKS cache TTL — ask the RP to force a refresh"
	)
	conflicting := replaceKey(func(s *Sandbox) any { return asJSON(s.keyring.conflict.Public()) })
	returned := addKey(func(s *Sandbox) any { return asJSON(s.keyring.revoked.Public()) })
	private := replaceKey(func(s *Sandbox) any { return asJSON(s.keyring.logi[0]) })
	return []Fault{
		// Which service has which key.
		{"kid-missing", "the key that auth signs with is in no key set; every replica of the proxy refuses its tokens", mismatch,
			[]*effect{on(everywhere, keySetRoute, publishKeys(dropKey(ibexKid))), on(proxies, protectedRoute, verifyWithKeys(dropKey(ibexKid)))}},
		{"kid-missing-replica", "the second replica of the proxy lacks the key that auth signs with, and refuses its tokens", allVerifiers,
			[]*effect{on(second, keySetRoute, publishKeys(dropKey(ibexKid))), on(second, protectedRoute, verifyWithKeys(dropKey(ibexKid)))}},
		{"kid-conflict", "the second replica of the proxy has a different key with the same kid, and refuses auth's tokens", allVerifiers,
			[]*effect{on(second, keySetRoute, publishKeys(conflicting)), on(second, protectedRoute, verifyWithKeys(conflicting))}},
		{"revoked-kid-published", "a revoked key is in the key sets of auth and of every replica of the proxy again", drill,
			[]*effect{on(everywhere, keySetRoute, publishKeys(returned)), on(proxies, protectedRoute, verifyWithKeys(returned))}},
		{"unpublished-signing-key", "the login API signs with a key that is in no key set; its tokens are refused", active,
			[]*effect{prepared(on(api, tokenRoute, reissue(unpublishedKey)), generateUnpublishedKey)}},

		// The keys themselves.
		{"private-key-published", "the key set of the login API contains its private signing key", compromise,
			[]*effect{on(api, keySetRoute, publishKeys(private))}},
		{"weak-key", "auth and the proxy also publish an RSA key of 1024 bits", strength,
			[]*effect{on(everywhere, keySetRoute, publishKeys(addKey(weakKey))), on(proxies, protectedRoute, verifyWithKeys(addKey(weakKey)))}},
		{"unknown-kty", "auth and the proxy also publish a key of a type that is not common yet: nothing is wrong", unknown,
			[]*effect{harmless(on(everywhere, keySetRoute, publishKeys(addKey(futureKey))))}},

		// The endpoint.
		{"empty-keyset", "the key set of auth is empty", loginsDown, []*effect{on(issues, keySetRoute, publishKeys(noKeys))}},
		{"keyset-html", "the key set of auth is a web page: 200 and HTML", loginsDown,
			[]*effect{on(issues, keySetRoute, respondPage(200, welcomePage))}},
		{"keyset-down", "/.well-known/jwks.json of the login API answers 503", loginsDown,
			[]*effect{on(api, keySetRoute, respondPage(503, unavailablePage))}},
		{"keyset-cached", "the key set of auth comes from a cache and is five minutes old", ttl,
			[]*effect{on(issues, keySetRoute, addHeaders("Age", "300"))}},
	}
}

// weakKey is an RSA key of 1024 bits.
func weakKey(*Sandbox) any {
	const modulus = "0dTWtIi_DOjove8SkuB5-zvXEA1LSb2bC6sKlKuPWxg5qC_b61BQgvhjUj5R2THNKdBK12CwQhlScERTmYTfA9UBMycpJxreB2O6xFJ" +
		"KsXca9Lc94wRhm02mY8HXFswDzUBm-Pxik0cmj9gGQLYZaYcreMBNMB-hDpnCnV-fpTU"
	return object{"kty": "RSA", "kid": "ibex-w1", "use": "sig", "alg": "RS256", "n": modulus, "e": "AQAB"}
}

// futureKey is of a type that most libraries do not know yet.
func futureKey(*Sandbox) any {
	return object{"kty": "AKP", "kid": "ibex-pq", "use": "sig", "alg": "ML-DSA-65", "pub": "c3RpbGwgdG8gY29tZQ"}
}
