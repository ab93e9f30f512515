// peer_llama.mjs is llama.cpp, by way of node-llama-cpp, as a peer of bench.
// Requests are lines of JSON on standard input, replies on standard output:
// process.go tells which.
//
// Keys and values are f16 and attention is computed as the library has it by
// default, which is faster than with f32. What is timed is what generation costs
// its users: evaluating tokens and choosing the likeliest next one. To evaluate
// without choosing would leave the scores out, a third of the work.
import {createInterface} from "node:readline";
import {readFileSync} from "node:fs";
import {pathToFileURL} from "node:url";

// "CPU : AVX = 1 | AVX2 = 1 | REPACK = 0 | " as what is there.
const features = (text) => [...text.matchAll(/(\w+) = 1/g)].map(([, name]) => name).join(" ");

let llama, model, context, sequence;

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
        return {name: "node-llama-cpp", version, device, info: features(llama.systemInfo)};
    },

    async load({model: modelPath, threads, context: size, gpu}) {
        const contextSize = size + 1; // of a full one the library would drop tokens
        llama.maxThreads = threads;
        model = await llama.loadModel({modelPath, gpuLayers: gpu ? "max" : 0});
        context = await model.createContext({
            contextSize, batchSize: contextSize, threads: {ideal: threads, min: threads}
        });
        sequence = context.getSequence();
        return {threads: context.currentThreads};
    },

    // Feeds ids, so many at a time, to an empty context.
    async run({ids, chunk}) {
        await sequence.clearHistory();
        const start = process.hrtime.bigint();
        const tokens = sequence.evaluate(ids.slice(0, chunk), {temperature: 0, yieldEogToken: true});
        let {value: token} = await tokens.next();
        for (let at = chunk; at < ids.length; at += chunk)
            ({value: token} = await tokens.next(ids.slice(at, at + chunk)));
        const ns = Number(process.hrtime.bigint() - start);
        await tokens.return();
        return {ns, token};
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
