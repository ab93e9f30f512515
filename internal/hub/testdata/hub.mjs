// hub.mjs HUB scan CACHE writes what @huggingface/hub, whose module is at HUB, finds in a cache; hub.mjs HUB fetch CACHE URL
// REPO REVISION FILE… has it fetch files of a model into one.
import path from "node:path";

const [hub, task, cacheDir, hubUrl, repo, revision, ...files] = process.argv.slice(2);
const { scanCacheDir, downloadFileToCacheDir } = await import(path.resolve(hub, "dist/index.mjs"));
console.debug = () => {};
if (task === "fetch") {
  for (const file of files) console.log(await downloadFileToCacheDir({ repo, path: file, revision, cacheDir, hubUrl }));
} else {
  const { repos, size, warnings } = await scanCacheDir(cacheDir);
  console.log(JSON.stringify({
    size, warnings: warnings.map(String),
    repos: repos.map(({ id, size, filesCount, revisions }) => ({
      name: id.name, type: id.type, size, filesCount,
      revisions: revisions.map((r) => ({ commit: r.commitOid, refs: r.refs, size: r.size, files: r.files.map((f) => path.basename(f.path)).sort() })),
    })),
  }));
}
