/* One hidden video holds all panels of a clip side by side; its frames are drawn on three canvases. */
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const films = facts.films;
  const find = (id) => document.getElementById(id);
  if (!films.length) return;

  const slider = find("frame");
  const panels = ["source", "decoded", "difference", "tokens"].map((name) => find(`panel-${name}`));
  const video = document.createElement("video");
  video.muted = true;
  video.loop = true;
  video.playsInline = true;
  video.preload = "auto";
  const picture = new Image();

  let film = null; // facts of the clip that is shown
  let method = 0; // number of whoever gave it back, in film.scores
  let wanted = 0; // the frame to be shown
  let seeking = false;
  let loading = 0;
  const addresses = new Map();

  const addressOf = (number) => {
    if (!addresses.has(number)) {
      const bytes = Uint8Array.from(atob(find(`film-${number}`).textContent), (sign) => sign.charCodeAt(0));
      addresses.set(number, URL.createObjectURL(new Blob([bytes], { type: films[number].kind })));
    }
    return addresses.get(number);
  };

  const isVideo = () => film.kind.startsWith("video/");

  /* Panels in the sheet: the source at the top left, then a row for each method, some without tokens. */
  const draw = () => {
    const row = (method + 1) * film.row;
    const places = [[0, 0], [0, row], [film.column, row], [2 * film.column, row]];
    panels.forEach((panel, number) => {
      if (panel.parentElement.hidden) return;
      const [x, y] = places[number];
      const pen = panel.getContext("2d");
      pen.drawImage(isVideo() ? video : picture, x, y, film.width, film.height, 0, 0, film.width, film.height);
    });
  };

  const say = (frame) => {
    slider.value = frame;
    const scores = film.scores[method];
    const text = `frame ${frame + 1} of ${film.frames}, ${scores.psnr[frame].toFixed(2)} dB`;
    find("frame-text").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    curves.point(frame);
  };

  const shown = (frame) => {
    draw();
    say(frame);
    slider.dataset.shown = frame;
  };

  /* The middle of a frame's time: nothing that rounds can make it a neighbour's. */
  const seek = () => {
    if (seeking) return;
    seeking = true;
    video.currentTime = (wanted + 0.5) / film.rate;
  };

  video.addEventListener("seeked", () => {
    seeking = false;
    const there = Math.floor(video.currentTime * film.rate);
    if (!video.paused) return;
    if (there !== wanted) seek();
    else shown(wanted);
  });

  const show = (frame) => {
    wanted = Math.max(0, Math.min(film.frames - 1, frame));
    say(wanted);
    if (isVideo()) seek();
    else shown(0);
  };

  const follow = (_, about) => {
    if (video.paused) return;
    wanted = Math.max(0, Math.min(film.frames - 1, Math.round(about.mediaTime * film.rate)));
    shown(wanted);
    video.requestVideoFrameCallback(follow);
  };

  const pause = () => {
    if (video.paused) return;
    video.pause();
    show(wanted);
  };

  const play = () => {
    if (!isVideo()) return;
    video.play().then(() => video.requestVideoFrameCallback(follow), trouble);
  };

  const trouble = () => {
    find("player-trouble").textContent = "This browser cannot play the H.264 video inside this page; open it in another one.";
    find("player-trouble").hidden = false;
  };

  for (const [event, pressed] of [["play", true], ["pause", false]]) {
    video.addEventListener(event, () => {
      find("play").textContent = pressed ? "Pause" : "Play";
      find("play").setAttribute("aria-pressed", pressed);
    });
  }

  /* PSNR of every frame, of all methods; the one that is shown stands out. */
  const curves = (() => {
    const WIDTH = 1000, HEIGHT = 150, TOP = 10, BOTTOM = 10;
    const element = (name, attributes, parent) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      parent.append(made);
      return made;
    };
    let svg, x, y, line;

    const make = () => {
      const values = film.scores.flatMap((scores) => scores.psnr);
      const low = Math.min(...values), high = Math.max(...values), room = Math.max(0.5, (high - low) * 0.05);
      x = (frame) => (film.frames > 1 ? (WIDTH * frame) / (film.frames - 1) : WIDTH / 2);
      y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low + room)) / (high - low + 2 * room);
      const box = find("frame-scores");
      box.replaceChildren();
      svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, box);
      film.scores.forEach((scores, number) => {
        const points = scores.psnr.map((value, frame) => `${x(frame).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
        const kind = number === method ? "line chosen" : "line";
        element("polyline", { points, class: `${kind} s${facts.methods.indexOf(scores.method) % 6}` }, svg);
      });
      line = element("path", { class: "cursor" }, svg);
      const legend = document.createElement("p");
      legend.className = "aside";
      legend.textContent = `PSNR of every frame, ${low.toFixed(1)} to ${high.toFixed(1)} dB: `;
      film.scores.forEach((scores, number) => {
        const entry = document.createElement("span");
        entry.className = `key s${facts.methods.indexOf(scores.method) % 6}${number === method ? " chosen" : ""}`;
        entry.textContent = scores.method;
        legend.append(entry, " ");
      });
      box.append(legend);
      svg.addEventListener("pointerdown", pointed);
      svg.addEventListener("pointermove", (event) => event.buttons && pointed(event));
    };

    const pointed = (event) => {
      const box = svg.getBoundingClientRect();
      pause();
      show(Math.round(((event.clientX - box.left) / box.width) * (film.frames - 1)));
    };

    return { make, point: (frame) => line.setAttribute("d", `M${x(frame).toFixed(1)} 0V${HEIGHT}`) };
  })();

  const choose = (number) => {
    const load = ++loading;
    video.pause();
    film = films[number];
    method = Math.min(method, film.scores.length - 1);
    wanted = 0;
    seeking = false;
    find("film-name").textContent = film.name;
    find("film-note").textContent = film.note;
    slider.max = film.frames - 1;
    delete slider.dataset.shown;
    for (const panel of panels) {
      panel.width = film.width;
      panel.height = film.height;
    }
    for (const id of ["play", "back", "forth", "speed", "frame"]) find(id).disabled = film.frames < 2;
    name();
    curves.make();
    say(0);
    if (isVideo()) {
      video.src = addressOf(number);
    } else {
      picture.onload = () => load === loading && shown(0);
      picture.src = addressOf(number);
    }
  };

  video.addEventListener("loadeddata", () => {
    video.playbackRate = Number(find("speed").value);
    show(wanted);
  });
  video.addEventListener("error", trouble);

  const name = () => {
    const { method: who, tokens } = film.scores[method];
    find("decoded-caption").textContent = who;
    find("tokens-caption").textContent = tokens ?? "";
    find("panel-tokens").parentElement.hidden = tokens === null;
  };

  const radio = (group, label, title, checked, chosen) => {
    const holder = document.createElement("label");
    const button = document.createElement("input");
    Object.assign(button, { type: "radio", name: group.id, checked, title });
    button.addEventListener("change", chosen);
    const text = document.createElement("span");
    text.textContent = label;
    holder.append(button, text);
    group.append(holder);
  };

  films.forEach((each, number) => radio(find("film-choice"), each.title, each.name, !number, () => choose(number)));
  films[0].scores.forEach((scores, number) => {
    radio(find("method-choice"), scores.method, scores.method, !number, () => {
      method = number;
      name();
      curves.make();
      if (slider.dataset.shown !== undefined) draw();
      say(wanted);
    });
  });

  slider.addEventListener("input", () => {
    pause();
    show(Number(slider.value));
  });
  const step = (by) => {
    pause();
    show((wanted + by + film.frames) % film.frames);
  };
  find("back").addEventListener("click", () => step(-1));
  find("forth").addEventListener("click", () => step(1));
  find("play").addEventListener("click", () => (video.paused ? play() : pause()));
  find("speed").addEventListener("change", (event) => {
    video.playbackRate = Number(event.target.value);
  });
  /* Wherever a clip that can be seen is named, its name leads to the players. */
  for (const link of document.querySelectorAll("a[data-film], a[href^='#clip-']")) {
    const place = Number(link.hash.slice("#clip-".length));
    const number = link.dataset.film === undefined ? films.findIndex((each) => each.clip === place) : Number(link.dataset.film);
    if (number < 0) continue;
    link.href = "#players";
    link.addEventListener("click", (event) => {
      event.preventDefault(); // following the link would take the focus from the slider
      find("film-choice").querySelectorAll("input")[number].checked = true;
      choose(number);
      find("players").scrollIntoView();
      slider.focus({ preventScroll: true });
    });
  }

  choose(0);
})();
