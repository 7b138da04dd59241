// A list of downloads, with their purposes and checksums.

import type { Artifact } from "../api";
import { bytes } from "../lib/format";
import { Copy } from "./copy";

const USES: [RegExp, string][] = [
  [/\.float32\.tflite$/, "for MediaPipe's FaceDetector, in 32-bit floats"],
  [/\.tflite$/, "for MediaPipe's FaceDetector"],
  [/\.bn\.pth$/, "for PyTorch, last epoch with BatchNorm"],
  [/\.faces\.onnx$/, "for ONNX Runtime, outputs faces"],
  [/bundle\.zip$/, "all formats, with the model's card"],
  [/\.pth$/, "for PyTorch: torch.load(…, weights_only=True)"],
  [/\.safetensors$/, "weights only, for any framework"],
  [/\.onnx$/, "for ONNX Runtime, raw outputs"],
  [/report\.json$/, "all metrics and curves"],
  [/ground_truth\.json$/, "the labels, in COCO format"],
  [/detections(_compare)?\.json$/, "the detections, in COCO format"],
  [/tfevents/, "metrics of every epoch, for TensorBoard"],
  [/^views-epoch-/, "training views with their targets"],
  [/card\.json$/, "parameters, versions and metrics"],
];

interface Props {
  files: (Artifact | string)[];
  url: (name: string) => string;
}

export function FileList({ files, url }: Props) {
  const all = files.map((file) => (typeof file === "string" ? { name: file } : file));
  return (
    <ul class="files">
      {all.map((file) => (
        <File key={file.name} file={file} href={url(file.name)} />
      ))}
    </ul>
  );
}

function File({ file, href }: { file: { name: string } & Partial<Artifact>; href: string }) {
  const use = USES.find(([pattern]) => pattern.test(file.name))?.[1];
  return (
    <li data-file={file.name} data-sha256={file.sha256}>
      <a href={href} download={file.name}>
        {file.name}
      </a>
      <span class="muted use">{use}</span>
      <span class="muted number">
        {file.size_bytes === undefined ? "" : bytes(file.size_bytes)}
      </span>
      {file.sha256 && (
        <span class="sha">
          <code title={`SHA-256: ${file.sha256}`}>{file.sha256.slice(0, 12)}…</code>
          <Copy text={file.sha256} what={`SHA-256 of ${file.name}`} />
        </span>
      )}
    </li>
  );
}
