// judge.mjs asks llama.cpp, by way of node-llama-cpp, what it makes of a GGUF
// file. The request is JSON on standard input, the answer JSON on standard output:
//
//   {library, model, texts, prompts, follow, n, never}   library: node_modules/node-llama-cpp
//   {version, metadata, bos, addsBOS, encoded, special, runs: [{ids, best, probabilities}, …]}
//
// It tokenizes each of texts, in special with special tokens as such. It continues
// each of prompts, which are ids, by n tokens: ids are the likeliest, but for those
// of never, and best their probabilities. Where follow has ids for a prompt, these
// are what the text goes on with, whatever was likeliest, and probabilities are
// theirs. Nothing is penalised, no token is put before a prompt, and keys and values
// are kept in f32.
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
for (const [i, prompt] of request.prompts.entries()) {
    await sequence.clearHistory();
    const run = {ids: [], best: [], probabilities: []};
    const options = {temperature: 0, repeatPenalty: undefined, tokenBias, yieldEogToken: true};
    const steps = sequence.evaluateWithMetadata(prompt, {probabilities: true}, options);
    for (let step = await steps.next(); run.ids.length < request.n;) {
        const {token, probabilities} = step.value;
        const next = request.follow?.[i]?.[run.ids.length] ?? token;
        run.ids.push(token);
        run.best.push(probabilities.get(token));
        run.probabilities.push(probabilities.get(next));
        if (run.ids.length < request.n)
            step = await steps.next(next);
    }
    await steps.return();
    runs.push(run);
}
process.stdout.write(JSON.stringify({
    version: info.version, metadata: {...info.metadata, tokenizer: undefined}, bos: model.tokens.bos,
    addsBOS: model.tokens.shouldPrependBosToken,
    encoded: request.texts.map((text) => model.tokenize(text)), special: request.texts.map((text) => model.tokenize(text, true)), runs
}));
await llama.dispose();
