// Written by make-certificates.sh.

export interface TestCertificate {
  /** Certificate of a server on 127.0.0.1. It is also the authority that signed it. */
  readonly cert: string;
  readonly key: string;
}

export const testCertificates: { readonly first: TestCertificate; readonly second: TestCertificate } = {
  first: {
    cert: `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUasJK8B6aSodRfyzsZryFaVjA5b8wCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTc3BvdGFibGUtdGVzdC1maXJzdDAgFw0yMDAxMDEwMDAwMDBa
GA8yMTIwMDEwMTAwMDAwMFowHjEcMBoGA1UEAwwTc3BvdGFibGUtdGVzdC1maXJz
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIhAWPzv5y9yV3052wxjhjOSuj32
FPkYo89/FhfNbQsM+Zh+a4o/AmRdCNhahuQemZr7LZXJuHKzf8r5xBokh5mjQzBB
MA8GA1UdEwEB/wQFMAMBAf8wDwYDVR0RBAgwBocEfwAAATAdBgNVHQ4EFgQUq7nL
pkn+lr38utcrcMs5GXY25vowCgYIKoZIzj0EAwIDSAAwRQIgEgqA+8YQ5ATxgj9u
j53RF7dNNyiyJC5TkPeL1BsqhE0CIQDrullJxCs0jde0CW/p8YHtF0D3477oWEHH
EaS0fs3bJQ==
-----END CERTIFICATE-----
`,
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvmezD2vSwfkowzfH
xUtem5C7BWql9QqA5rT2abcnT9+hRANCAASIQFj87+cvcld9OdsMY4Yzkro99hT5
GKPPfxYXzW0LDPmYfmuKPwJkXQjYWobkHpma+y2Vybhys3/K+cQaJIeZ
-----END PRIVATE KEY-----
`,
  },
  second: {
    cert: `-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIUH0YlmPuUe0uxk/OqkBI8GtcCEEgwCgYIKoZIzj0EAwIw
HzEdMBsGA1UEAwwUc3BvdGFibGUtdGVzdC1zZWNvbmQwIBcNMjAwMTAxMDAwMDAw
WhgPMjEyMDAxMDEwMDAwMDBaMB8xHTAbBgNVBAMMFHNwb3RhYmxlLXRlc3Qtc2Vj
b25kMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDvLonlKX3IG3EVwA21BTu3BH
1+ZjQasqsRYla6FSNLrmWNEjSpcKtc9+IiQGF/8wafFSYKoorwlJ4YMaB9bDhaND
MEEwDwYDVR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMB0GA1UdDgQWBBTw
XYKsY9J/wr6doYt9L7R4r2O4gDAKBggqhkjOPQQDAgNIADBFAiACFi93hQhowM+a
bQBXYtZ+hkwq5zFmKXMnhyDShdX+ngIhAL0NIefh60gtJPC8n7iN8WLobfynD8mM
ZoVXBW+0z6A/
-----END CERTIFICATE-----
`,
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgimPxjG9zrfsg5RzT
nr4uyjNAQinyF8Ot8lFH77p6x3ehRANCAAQO8uieUpfcgbcRXADbUFO7cEfX5mNB
qyqxFiVroVI0uuZY0SNKlwq1z34iJAYX/zBp8VJgqiivCUnhgxoH1sOF
-----END PRIVATE KEY-----
`,
  },
};
