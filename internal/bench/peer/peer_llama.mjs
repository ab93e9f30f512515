// peer_llama.mjs is llama.cpp, by way of node-llama-cpp, as a peer of bench.
// Requests are lines of JSON on standard input, replies on standard output:
// process.go tells which.
//
// Keys and values are f16 and attention is computed as the library has it by
// default, which is faster than with f32. What is timed is what generation costs
// its users: evaluating tokens and choosing the likeliest next one. To evaluate
// without choosing would leave the scores out, a third of the work.
//
// Sequences together are those of one context, which its library evaluates in batches.
import {createInterface} from "node:readline";
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

// "CPU : AVX = 1 | AVX2 = 1 | REPACK = 0 | " as what is there.
const features = (text) => [...text.matchAll(/(\w+) = 1/g)].map(([, name]) => name).join(" ");

let llama, model, batching, batches;
const sequences = new Map(); // by how many there are together
const tries = new Map(); // by what is generated: the ways tried, and how long each took

// The library's own way to fill a batch, counted; or nothing, where it is not found.
async function counted(library) {
    const path = "/dist/evaluator/LlamaContext/utils/batchItemsPrioritizationStrategies/maximumParallelismStrategy.js";
    try {
        const {maximumParallelismStrategy} = await import(pathToFileURL(library + path));
        return {itemPrioritizationStrategy: (options) => (batches++, maximumParallelismStrategy(options))};
    } catch {
        return undefined;
    }
}

// Each sequence goes on as soon as its token is there, as when each is awaited by
// itself. Then some are evaluated while others choose their tokens, two by turns.
async function free(texts, predict, next) {
    await Promise.all(texts.map(async (text, i) => {
        for (let n = 0; n < predict; n++)
            await next(text, i);
    }));
}

// All go on when each has its token, so that they are evaluated in one batch.
async function inStep(texts, predict, next) {
    for (let n = 0; n < predict; n++)
        await Promise.all(texts.map(next));
}

async function generate({prompts, predict, told}, way) {
    const all = sequences.get(prompts.length);
    for (const sequence of all)
        await sequence.clearHistory();
    const tokens = all.map(() => []);
    batches = 0;
    const start = process.hrtime.bigint();
    const texts = all.map((sequence, i) => sequence.evaluate(prompts[i], {temperature: 0, yieldEogToken: true}));
    await way(texts, predict, async (text, i) => tokens[i].push((await text.next()).value));
    const ns = Number(process.hrtime.bigint() - start);
    for (const text of texts)
        await text.return();
    return {ns, batches, tokens: tokens.map((ids) => ids.slice(0, told))};
}

const commands = {
    async start({library, gpu}) {
        const {getLlama} = await import(pathToFileURL(library + "/dist/index.js"));
        const {version} = JSON.parse(readFileSync(library + "/package.json", "utf8"));
        llama = await getLlama({
            gpu: gpu ? "vulkan" : false, build: "never", skipDownload: true, progressLogs: false,
            logLevel: "error", logger: (level, message) => console.error(message)
        });
        let device = "CPU";
        if (gpu) {
            [device] = await llama.getGpuDeviceNames();
            if (device !== gpu)
                return {absent: `it finds ${device ?? "nothing"} where ${gpu} was expected`};
        }
        batching = await counted(library);
        return {name: "node-llama-cpp", version, device, info: features(llama.systemInfo)};
    },

    async load({model: modelPath, threads, context: size, sequences: numbers, gpu}) {
        const contextSize = size + 1; // of a full one the library would drop tokens
        llama.maxThreads = threads;
        model = await llama.loadModel({modelPath, gpuLayers: gpu ? "max" : 0});
        let used;
        for (const n of numbers ?? [1]) {
            const context = await model.createContext({
                sequences: n, contextSize, threads: {ideal: threads, min: threads}, batching: numbers ? batching : undefined,
                batchSize: Math.min(n * contextSize, Math.max(contextSize, 512)) // its default, or a whole prompt
            });
            sequences.set(n, Array.from({length: n}, () => context.getSequence()));
            used = context.currentThreads;
        }
        return {threads: used};
    },

    // Feeds ids, so many at a time, to an empty context.
    async run({ids, chunk}) {
        const [sequence] = sequences.get(1);
        await sequence.clearHistory();
        const start = process.hrtime.bigint();
        const tokens = sequence.evaluate(ids.slice(0, chunk), {temperature: 0, yieldEogToken: true});
        let {value: token} = await tokens.next();
        for (let at = chunk; at < ids.length; at += chunk)
            ({value: token} = await tokens.next(ids.slice(at, at + chunk)));
        const ns = Number(process.hrtime.bigint() - start);
        await tokens.return();
        return {ns, token};
    },

    // Generates tokens after prompts, in the way that was faster when it was tried.
    async batch(request) {
        const {prompts, predict} = request;
        const key = `${prompts.length} ${prompts[0].length} ${predict}`;
        const tried = tries.get(key) ?? [];
        tries.set(key, tried);
        if (!request.try) {
            const best = (way) => Math.min(...tried.filter((a) => a.way === way).map((a) => a.ns));
            return generate(request, best(inStep) < best(free) ? inStep : free);
        }
        const way = tried.length % 2 ? inStep : free;
        const reply = await generate(request, way);
        tried.push({way, ns: tried.length ? reply.ns : Infinity}); // the first warms up
        return reply;
    }
};

for await (const line of createInterface({input: process.stdin})) {
    const request = JSON.parse(line);
    let reply;
    try {
        reply = await commands[request.command](request);
    } catch (error) {
        reply = {error: String(error?.message ?? error)};
    }
    process.stdout.write(JSON.stringify(reply) + "\n");
}
process.exit(0);
