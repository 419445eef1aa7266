package sandbox

// forgeryFaults have the protected route of the proxy accept forged tokens, a class of them each.
func forgeryFaults() []Fault {
	proxies := []string{proxy1, proxy2, proxy3}
	var all []Fault
	for _, f := range []struct {
		name, tokens string
		change       func(*Sandbox, *verifier)
	}{
		{"hs512", "signed with the public key: HS384 and HS512", trusting(longerHash)},
		{"empty-secret", "signed with an empty secret: HS256", trusting(emptySecret)},
		{"no-alg", "without an algorithm and without a signature", trusting(noAlgorithm)},
		{"any-signature", "with any signature", trusting(anySignature)},
		{"zero-signature", "with a signature of zeros", trusting(zeroSignature)},
		{"other-signature", "with the signature of another token", otherText},
		{"own-key", "signed with a key that they bring along: jwk and x5c", trusting(ownKey)},
		{"remote-key", "whose keys it cannot fetch: jku and x5u", trusting(remoteKey)},
		{"no-key", "without the name of a key that it has", trusting(noKey)},
		{"json", "in JSON without a signature", unsignedJSON},
		{"part", "of four parts, of which it verifies others than it reads", otherPart},
		{"encrypted", "encrypted with the public key and not signed", decryptOnly},
	} {
		all = append(all, Fault{"forged-" + f.name + "-accepted", "the protected route of the proxy accepts tokens " + f.tokens, compromise,
			[]*effect{on(proxies, protectedRoute, withVerifier(f.change))}})
	}
	return all
}
