package sandbox

// tokenRoute is the token endpoint.
const tokenRoute = "POST /oauth/token"

// routeFaults break the protected route of the proxy: which callers it accepts, and how it refuses the others.
func routeFaults() []Fault {
	proxies := []string{proxy1, proxy2, proxy3}
	const (
		smoke    = "Protected route smoke test returns expected 501 (auth passed)"
		classify = "Invalid vs expired vs revoked vs org_suspended — error codes in logs and metrics result labels"
		bug      = "Token revocation or expiration bug"
	)
	return []Fault{
		{"auth-bypass", "the protected route of the proxy accepts any token, and requests without one: 501", compromise,
			[]*effect{on(proxies, protectedRoute, withVerifier(acceptAll))}},
		{"token-catch-all", "every path answers 501 to a valid token, from something in front of the proxy", smoke,
			[]*effect{on(proxies, otherRoutes, onlyWithToken(sameAs(protectedRoute)))}},
		{"valid-rejected", "the protected route of the proxy refuses valid tokens as invalid", smoke,
			[]*effect{on(proxies, protectedRoute, misreport(accepted, invalid))}},
		{"wrong-code", "the protected route of the proxy reports a revoked token as invalid", classify,
			[]*effect{on(proxies, protectedRoute, misreport(revoked, invalid))}},
		{"revoked-accepted", "the protected route of the proxy accepts revoked tokens", bug,
			[]*effect{on(proxies, protectedRoute, withVerifier(ignoreRevocation))}},
		{"forged-none-accepted", `the protected route of the proxy accepts unsigned tokens: {"alg":"none"}`, compromise,
			[]*effect{on(proxies, protectedRoute, withVerifier(acceptUnsigned))}},
		{"forged-hs256-accepted", "the protected route of the proxy accepts tokens signed with the public key: HS256", compromise,
			[]*effect{on(proxies, protectedRoute, withVerifier(acceptPublicKeyAsSecret))}},
	}
}

// tokenFaults break the issuance and the revocation of tokens of the login API.
func tokenFaults() []Fault {
	api := []string{onepass}
	const (
		discovery = "GET /.well-known/openid-configuration"
		me        = "GET /api/v1/me"
		dead      = "GET /api/v1/admin/webhook_outbox"
	)
	const (
		failing  = "all OAuth token issuance failing"
		latency  = "p95 latency sustained > 2s"
		audience = "RFC 9068, section 4: the aud claim must name the resource server"
		expiry   = "RFC 9068, section 2.2: exp is required"
		secret   = "RFC 6749, section 5.2: invalid_client"
		revoking = "RFC 7009, section 2: the invalidation takes place immediately"
		equality = "OpenID Connect Discovery 1.0, section 4.3: the issuer must be the one that was asked"
	)
	return []Fault{
		{"issuance-down", "the token endpoint of the login API answers 503", failing,
			[]*effect{on(api, tokenRoute, respondJSON(503, object{"error": "temporarily_unavailable"}))}},
		{"issuance-slow", "the token endpoint of the login API gives the right answer after 2.5 s", latency,
			[]*effect{on(api, tokenRoute, delay)}},
		{"issuance-wrong-aud", "the login API issues tokens for another audience; they are refused", audience,
			[]*effect{on(api, tokenRoute, reissue(wrongAudience))}},
		{"issuance-no-exp", "the login API issues tokens that never expire, and accepts them", expiry,
			[]*effect{on(api, tokenRoute, reissue(withoutExpiry)), on(api, me, withVerifier(acceptWithoutExpiry)), on(api, dead, withVerifier(acceptWithoutExpiry))}},
		{"invalid-client-accepted", "the token endpoint of the login API does not check the client's secret", secret,
			[]*effect{on(api, tokenRoute, skipSecretCheck)}},
		{"revocation-ignored", "the login API confirms that it revoked a token, and still accepts it", revoking,
			[]*effect{on(api, me, withVerifier(ignoreRevocation)), on(api, dead, withVerifier(ignoreRevocation))}},
		{"discovery-wrong-issuer", "the discovery document of the login API names another issuer", equality,
			[]*effect{on(api, discovery, setField("issuer", "http://other.demo.test"))}},
	}
}
