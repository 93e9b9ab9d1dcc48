// Ask a server about images, from Node 20 or later or, with files of an <input>, from a page of the same origin.
// Run: foveal serve runs/photos-1 &  node examples/serving/client.mjs http://127.0.0.1:8000 one.jpg two.png
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const [server, ...files] = process.argv.slice(2);
const form = new FormData();
for (const file of files) form.append("image", new Blob([await readFile(file)]), basename(file));
const token = process.env.FOVEAL_TOKEN;
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const response = await fetch(`${server}/v1/predict`, { method: "POST", body: form, headers });
const told = await response.json();
if (!response.ok) throw new Error(`${told.status} ${told.title}: ${told.detail}`);
for (const answer of told.predictions) console.log(JSON.stringify(answer));
