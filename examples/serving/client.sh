#!/bin/sh
# Ask a server about images with curl: one as it is, several in a form, and by the protocol of KServe.
# Run: foveal serve runs/photos-1 &  sh examples/serving/client.sh http://127.0.0.1:8000 photos-1 one.jpg two.png
set -eu
server=$1 model=$2 one=$3 two=$4
token=${FOVEAL_TOKEN:+"Authorization: Bearer $FOVEAL_TOKEN"}

curl --fail-with-body -sS -H "$token" -H 'Content-Type: application/octet-stream' --data-binary "@$one" "$server/v1/predict"
echo
curl --fail-with-body -sS -H "$token" -F "image=@$one" -F "image=@$two" "$server/v1/predict"
echo
base64 <"$one" | tr -d '\n' |
  sed 's/.*/{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["&"]}]}/' |
  curl --fail-with-body -sS -H "$token" -H 'Content-Type: application/json' --data-binary @- "$server/v2/models/$model/infer"
echo
