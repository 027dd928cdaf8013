#!/bin/sh
# The certificates of tests/light/network.rs: an authority, and a server at localhost and 127.0.0.1. They
# are valid for 100 years, and good for nothing else.
set -e
cd "$(dirname "$0")/../data/tls"
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -sha256 -days 36500 -subj "/CN=artgpt-tui test authority" -out ca.pem
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out server.key
openssl req -new -key server.key -subj "/CN=localhost" -out server.csr
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -sha256 \
    -extfile server.ext -out server.pem
rm ca.key ca.srl server.csr server.ext
