"""Makes the pictures of tests/parity/golden/pictures from scikit-image's public-domain ones.

    python tests/parity/make_pictures.py scikit_image-0.24.0-*.whl tests/parity/golden/pictures
"""

import io
import pathlib
import sys
import zipfile

from PIL import Image, ImageOps


def main() -> None:
    wheel, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)

    def load(name: str) -> Image.Image:
        return Image.open(io.BytesIO(wheel.read(f"skimage/data/{name}"))).convert("RGB")

    def save(picture: Image.Image, name: str) -> None:
        picture.save(folder / name, quality=88)

    astronaut = load("astronaut.png")
    save(astronaut, "astronaut.jpg")
    save(astronaut.crop((60, 0, 400, 240)), "astronaut_wide.jpg")
    save(astronaut.crop((130, 10, 330, 500)), "astronaut_tall.jpg")
    head = astronaut.crop((110, 0, 350, 300))
    pair = Image.new("RGB", (640, 400), (90, 110, 130))
    pair.paste(ImageOps.mirror(head).resize((288, 360)), (20, 40))
    pair.paste(head.rotate(12, fillcolor=(90, 110, 130)).resize((240, 300)), (360, 90))
    save(pair, "pair.jpg")
    group = Image.new("RGB", (720, 560), (40, 70, 50))
    for place in range(4):
        size = (216 + 24 * place, 270 + 30 * place)
        corner = (30 + 350 * (place % 2), 10 + 280 * (place // 2))
        group.paste(head.resize(size).crop((0, 0, 330, 270)), corner)
    save(group, "group.jpg")
    save(load("camera.png").resize((384, 384)), "camera.jpg")
    save(load("chelsea.png").resize((400, 266)), "chelsea.jpg")
    save(load("rocket.jpg").resize((480, 320)), "rocket.jpg")


if __name__ == "__main__":
    main()
