#!/bin/sh
# Writes test-certificates.ts anew: two certificates for 127.0.0.1, each its own authority, valid from 2020 to 2120 and
# worth nothing outside a test. Node can use certificates, but not make them. `openssl ca`, because `openssl req` knows
# no start of validity before version 3.4.
set -eu
cd "$(dirname "$0")"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cat >"$directory/config" <<END
[ca]
default_ca = test
[test]
database = $directory/index
new_certs_dir = $directory
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
basicConstraints = critical, CA:TRUE
subjectAltName = IP:127.0.0.1
END
{
  echo '// Written by make-certificates.sh.'
  echo
  echo 'export interface TestCertificate {'
  echo '  /** Of a server on 127.0.0.1, and at the same time the authority that signed it. */'
  echo '  readonly cert: string;'
  echo '  readonly key: string;'
  echo '}'
  echo
  echo 'export const testCertificates: { readonly first: TestCertificate; readonly second: TestCertificate } = {'
  for name in first second; do
    : >"$directory/index"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=spotable-test-$name" \
      -keyout "$directory/key" -out "$directory/request" 2>/dev/null
    openssl ca -batch -selfsign -notext -config "$directory/config" -startdate 20200101000000Z -enddate 21200101000000Z \
      -keyfile "$directory/key" -in "$directory/request" -out "$directory/cert" 2>/dev/null
    printf '  %s: {\n    cert: `' "$name"
    cat "$directory/cert"
    printf '`,\n    key: `'
    cat "$directory/key"
    printf '`,\n  },\n'
  done
  echo '};'
} >test-certificates.ts
