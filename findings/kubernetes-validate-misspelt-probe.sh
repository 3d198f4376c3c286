#!/bin/sh
# kubernetes-validate 1.37.0: a Deployment whose `readinessProbe` is misspelt "passed", and so does nothing else than
# --strict find it. A kind that is not known at all is a warning, and the exit status 0.
#
# One expects a validator to refuse a field that the API server refuses (kubectl validates strictly by default) or drops,
# and to fail for a file that it could not check. A test has to pass --strict and to look for the word "passed".
#
# Seen: misspelt: passed 0 ; misspelt, strict: not passed 1 ; unknown kind, strict: not passed 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "kubernetes-validate==1.37.0"
cat > "$folder/misspelt.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      containers:
        - name: server
          image: server
          readynessProbe: {httpGet: {path: /readyz, port: 80}}
YAML
cat > "$folder/unknown.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deploiment
metadata: {name: server}
YAML
judged() {
    status=0
    said=$("$folder/venv/bin/kubernetes-validate" "$@" 2>&1) || status=$?
    case $said in
        *" passed for resource "*) echo "passed $status" ;;
        *) echo "not passed $status" ;;
    esac
}
plain=$(judged "$folder/misspelt.yaml")
strict=$(judged --strict "$folder/misspelt.yaml")
unknown=$(judged --strict "$folder/unknown.yaml")
seen="misspelt: $plain ; misspelt, strict: $strict ; unknown kind, strict: $unknown"
echo "$seen"
test "$seen" = "misspelt: passed 0 ; misspelt, strict: not passed 1 ; unknown kind, strict: not passed 0"
