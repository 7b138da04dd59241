// A picture with boxes drawn over it.

import type { ComponentChildren } from "preact";
import type { Rect } from "../api";

export interface Layer {
  /** `truth`, `baseline`, `tuned` or `plain`; determines the colour of the lines. */
  kind: string;
  boxes: Rect[];
}

interface Props {
  /** `undefined` if the picture was deleted; its boxes are still drawn. */
  src: string | undefined;
  name: string;
  width: number;
  height: number;
  layers: Layer[];
  eager?: boolean;
  children?: ComponentChildren;
}

export function Picture({ src, name, width, height, layers, eager, children }: Props) {
  const said = layers.map(({ kind, boxes }) => `${boxes.length} ${kind}`).join(", ");
  return (
    <div class="picture" style={{ aspectRatio: `${width} / ${height}`, "--shape": width / height }}>
      {src && (
        <img
          src={src}
          alt={`${name}; boxes: ${said}`}
          loading={eager ? "eager" : "lazy"}
          decoding="async"
        />
      )}
      <Boxes width={width} height={height} layers={layers} />
      {children}
    </div>
  );
}

/** Only the boxes, to lay over any element that has the picture's shape. */
export function Boxes({
  width,
  height,
  layers,
}: {
  width: number;
  height: number;
  layers: Layer[];
}) {
  return (
    <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      {layers.map(({ kind, boxes }) => {
        const d = boxes.map((box) => outline(box, width, height)).join("");
        return (
          <g key={kind} class={kind} data-layer={kind} data-boxes={boxes.length}>
            <path class="halo" d={d} />
            <path class="line" d={d} />
          </g>
        );
      })}
    </svg>
  );
}

function outline([ymin, xmin, ymax, xmax]: Rect, width: number, height: number): string {
  const at = (fraction: number, size: number) => (fraction * size).toFixed(1);
  const [left, top, right, bottom] = [
    at(xmin, width),
    at(ymin, height),
    at(xmax, width),
    at(ymax, height),
  ];
  return `M${left} ${top}H${right}V${bottom}H${left}Z`;
}
