// judge.mjs asks llama.cpp, by way of node-llama-cpp, what it makes of a GGUF
// file. The request is JSON on standard input, the answer JSON on standard output:
//
//   {library, model, texts, prompts, n, never}   library: node_modules/node-llama-cpp
//   {version, metadata, bos, addsBOS, encoded, special, runs: [{ids, probabilities}, …]}
//
// It tokenizes each of texts, in special with special tokens as such, and continues each of prompts, which are ids, by n
// tokens: each the likeliest, but for those of never. Nothing is penalised, no
// token is put before a prompt, and keys and values are kept in f32.
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

const request = JSON.parse(readFileSync(0, "utf8"));
const {getLlama, TokenBias, readGgufFileInfo} = await import(pathToFileURL(request.library + "/dist/index.js"));

const llama = await getLlama({
    gpu: false, build: "never", skipDownload: true, progressLogs: false, maxThreads: 1,
    logLevel: "error", logger: (level, message) => console.error(level, message)
});
const info = await readGgufFileInfo(request.model);
const model = await llama.loadModel({modelPath: request.model, gpuLayers: 0});
const context = await model.createContext({
    contextSize: model.trainContextSize, threads: 1, flashAttention: false,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"
});
const tokenBias = new TokenBias(model.tokenizer).set(request.never, "never");
const sequence = context.getSequence();
const runs = [];
for (const prompt of request.prompts) {
    await sequence.clearHistory();
    const run = {ids: [], probabilities: []};
    const options = {temperature: 0, repeatPenalty: undefined, tokenBias, yieldEogToken: true};
    for await (const {token, confidence} of sequence.evaluateWithMetadata(prompt, {confidence: true}, options)) {
        run.ids.push(token);
        run.probabilities.push(confidence);
        if (run.ids.length === request.n)
            break;
    }
    runs.push(run);
}
process.stdout.write(JSON.stringify({
    version: info.version, metadata: {...info.metadata, tokenizer: undefined}, bos: model.tokens.bos,
    addsBOS: model.tokens.shouldPrependBosToken,
    encoded: request.texts.map((text) => model.tokenize(text)), special: request.texts.map((text) => model.tokenize(text, true)), runs
}));
await llama.dispose();
