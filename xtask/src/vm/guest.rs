//! What runs in the guest: a file system in memory with busybox, the observer, the backend, the program of kernel tests
//! and the tools that tests compare with, all as they are on this machine, with their libraries.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};

use super::{
    board::{AMD64, Board},
    kernels::Kernel,
    machine::{self, Machine},
};
use crate::{
    artifacts::{self, Program},
    exec,
    interrupt::Interrupt,
    toolchain::BpfToolchain,
    workdir::WorkDir,
};

/// The programs that the tests of this machine are built of, so that nothing is built for a guest alone.
pub(super) struct Programs {
    /// The observer, as it runs on this machine.
    pub(super) observer: PathBuf,
    backend: PathBuf,
    tests: PathBuf,
}

impl Programs {
    /// Builds them.
    pub(super) fn build(toolchain: &BpfToolchain) -> Result<Self> {
        Self::of(&artifacts::build_tests(toolchain, &[])?)
    }

    /// Those among programs that are built.
    pub(super) fn of(programs: &[Program]) -> Result<Self> {
        let find = |what: &str, is_it: fn(&Program) -> bool| {
            let found = programs.iter().find(|program| is_it(program));
            found.map(|program| program.path.clone()).with_context(|| format!("cargo built no {what}"))
        };
        Ok(Self {
            observer: find("program observer", |program| program.target == "observer" && !program.test)?,
            backend: find("program demo-server", |program| program.target == "demo-server" && !program.test)?,
            tests: find("kernel tests", |program| program.target == "kernel" && program.test)?,
        })
    }
}

/// What tests compare with.
const COMPARED_WITH: [&str; 2] = ["ss", "nstat"];

/// The programs, ready to be packed.
pub(super) struct Guest {
    board: &'static Board,
    busybox: PathBuf,
    /// Programs of the workspace: where they are here, and in the guest.
    programs: Vec<(PathBuf, PathBuf)>,
    /// More files and directories: where they are here, and in the guest.
    more: Vec<(PathBuf, PathBuf)>,
}

impl Guest {
    /// A guest like this machine, with the programs of tests and what they start.
    pub(super) fn of_tests(programs: &Programs) -> Result<Self> {
        let Programs { observer, backend, tests } = programs;
        let mut more = Vec::new();
        for name in COMPARED_WITH {
            let path = PathBuf::from(exec::capture(exec::command("which").arg(name))?.trim());
            more.extend(libraries(&path)?);
            more.push((path, Path::new("/bin").join(name)));
        }
        for program in [observer, backend, tests] {
            more.extend(libraries(program)?);
        }
        more.sort();
        more.dedup();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists());
        let busybox = busybox.context("there is no busybox; the package busybox-static has it")?;
        // The tests start the observer by the path that was compiled into them, and it starts the backend beside it.
        let programs = vec![
            (tests.clone(), PathBuf::from("/bin/kernel-tests")),
            (observer.clone(), observer.clone()),
            (backend.clone(), backend.clone()),
        ];
        Ok(Self { board: &AMD64, busybox: busybox.into(), programs, more })
    }

    /// A guest of another architecture, with static programs for it.
    pub(super) fn of_static(board: &'static Board, busybox: PathBuf, programs: &[PathBuf]) -> Self {
        let inside = |program: &PathBuf| Path::new("/bin").join(program.file_name().unwrap_or_default());
        let programs = programs.iter().map(|program| (program.clone(), inside(program))).collect();
        Self { board, busybox, programs, more: Vec::new() }
    }

    /// The same with other files.
    pub(super) fn with(mut self, files: Vec<(PathBuf, PathBuf)>) -> Self {
        self.more.extend(files);
        self
    }

    /// Boots a kernel with them.
    pub(super) fn boot(&self, kernel: &Kernel, interrupt: &Interrupt) -> Result<Machine> {
        let directory = WorkDir::new()?;
        let image = directory.join("initramfs");
        self.pack(kernel, &directory.join("root"), &image)?;
        Machine::boot(self.board, kernel, &image, directory, interrupt)
    }

    fn pack(&self, kernel: &Kernel, root: &Path, image: &Path) -> Result<()> {
        let context = || format!("could not lay out the guest's file system in {}", root.display());
        for directory in ["bin", "proc", "sys", "dev", "tmp", "run"] {
            fs::create_dir_all(root.join(directory)).with_context(context)?;
        }
        fs::copy(&self.busybox, root.join("bin/busybox")).with_context(context)?;
        for (here, there) in &self.programs {
            let inside = root.join(there.strip_prefix("/").unwrap_or(there));
            fs::create_dir_all(inside.parent().unwrap_or(root)).with_context(context)?;
            match self.board.is_native {
                true => stripped(here, &inside)?,
                // It is stripped already: this machine's `strip` knows its own architecture alone.
                false => drop(fs::copy(here, &inside).with_context(context)?),
            }
            let link = root.join("bin").join(there.file_name().with_context(context)?);
            if link != inside {
                std::os::unix::fs::symlink(there, link).with_context(context)?;
            }
        }
        for (number, module) in kernel.modules.iter().enumerate() {
            let inside = root.join(format!("module-{number}"));
            if module.extension().is_some_and(|end| end == "xz") {
                let mut unpack = exec::command("busybox");
                let file = fs::File::create(&inside).with_context(context)?;
                exec::run(unpack.args(["xzcat".as_ref(), module.as_os_str()]).stdout(file))?;
            } else {
                fs::copy(module, &inside).with_context(context)?;
            }
        }
        for (here, there) in &self.more {
            let inside = root.join(there.strip_prefix("/").unwrap_or(there));
            fs::create_dir_all(inside.parent().unwrap_or(root)).with_context(context)?;
            exec::run(exec::command("cp").args(["-rL", "--no-target-directory"]).arg(here).arg(&inside))?;
        }
        fs::write(root.join("init"), init(self.board.scripts)).with_context(context)?;
        exec::run(exec::command("chmod").arg("755").arg(root.join("init")))?;
        archive(root, image)
    }
}

/// Copies a program without its debug information, of which a guest's memory would be full.
fn stripped(program: &Path, inside: &Path) -> Result<()> {
    exec::run(exec::command("strip").args(["--strip-debug", "-o"]).arg(inside).arg(program))
}

/// The libraries of a program of this machine, and the loader: where they are here, and in the guest.
pub(super) fn libraries(program: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let list = exec::capture(exec::command("ldd").arg(program))?;
    let absolute = list.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(absolute.map(|library| (PathBuf::from(library), PathBuf::from(library))).collect())
}

/// The first process. All of the file system is in memory already, and nothing may be mounted over where the programs
/// lie. Scripts come by a serial port, and what they write goes there, alone; the first port belongs to the kernel.
fn init(port: &str) -> String {
    format!(
        "#!/bin/busybox sh\n\
         /bin/busybox --install -s /bin\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sys /sys\n\
         mount -t devtmpfs dev /dev\n\
         mkdir /dev/pts\n\
         mount -t devpts pts /dev/pts\n\
         mount -t tracefs trace /sys/kernel/tracing\n\
         mount -t bpf bpf /sys/fs/bpf\n\
         mount -t cgroup2 cgroup /sys/fs/cgroup\n\
         for module in /module-*; do insmod $module; done\n\
         ip link set lo up\n\
         stty -F /dev/{port} raw -echo\n\
         exec < /dev/{port} > /dev/{port} 2>&1\n\
         cd /tmp\n\
         echo {begun}\n\
         while IFS= read -r line; do\n\
           if [ \"$line\" = \"{run}\" ]; then\n\
             sh /script < /dev/null; echo \"{ended} $?\"; rm /script\n\
           else\n\
             printf '%s\\n' \"$line\" >> /script\n\
           fi\n\
         done\n\
         poweroff -f\n",
        begun = machine::BEGUN,
        run = machine::RUN,
        ended = machine::ENDED
    )
}

/// Packs a directory as the kernel wants it.
fn archive(root: &Path, image: &Path) -> Result<()> {
    let names = exec::capture(exec::command("find").arg(".").current_dir(root))?;
    let file = fs::File::create(image).with_context(|| format!("could not write {}", image.display()))?;
    let mut cpio = exec::command("busybox");
    cpio.args(["cpio", "-o", "-H", "newc"]).current_dir(root);
    let mut child = cpio
        .stdin(Stdio::piped())
        .stdout(file)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to run {}", exec::shown(&cpio)))?;
    let mut input = child.stdin.take().context("cpio has no stdin")?;
    input.write_all(names.as_bytes()).context("could not tell cpio the names")?;
    drop(input);
    match child.wait().context("could not wait for cpio")? {
        status if status.success() => Ok(()),
        status => bail!("{} failed: {status}", exec::shown(&cpio)),
    }
}
