//! What runs in the guest: a file system in memory with busybox, the observer, the backend and the program of kernel
//! tests, all linked statically; and the tools that tests compare with.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{
    kernels::Kernel,
    machine::{self, Ended},
};
use crate::{
    artifacts::{self, Program},
    exec,
    interrupt::Interrupt,
    toolchain::BpfToolchain,
    workdir::WorkDir,
    workspace,
};

/// With it the standard library's own target directory is left alone.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What tests compare with.
const COMPARED_WITH: [&str; 2] = ["ss", "nstat"];

/// The programs, ready to be packed.
pub(super) struct Guest {
    observer: PathBuf,
    tests: PathBuf,
    backend: PathBuf,
    /// More files and directories: where they are here, and in the guest.
    more: Vec<(PathBuf, PathBuf)>,
}

impl Guest {
    /// Builds them.
    pub(super) fn build(toolchain: &BpfToolchain) -> Result<Self> {
        eprintln!("vm: building the observer and its kernel tests, linked statically");
        let mut cargo = static_cargo(toolchain);
        cargo.args(["--package", "observer", "--package", "demo-server", "--bins", "--test", "kernel"]);
        let programs = artifacts::parse(&exec::capture(&mut cargo)?)?;
        let find =
            |what: &str, is_it: fn(&Program) -> bool| match programs.iter().find(|program| is_it(program)) {
                Some(program) => Ok(program.path.clone()),
                None => bail!("cargo built no {what}"),
            };
        let backend =
            find("program demo-server", |program| program.target == "demo-server" && !program.test)?;
        Ok(Self {
            observer: find("program observer", |program| program.target == "observer" && !program.test)?,
            tests: find("kernel tests", |program| program.target == "kernel" && program.test)?,
            backend,
            more: with_libraries(&COMPARED_WITH)?,
        })
    }

    /// The same with other files.
    pub(super) fn with(mut self, files: Vec<(PathBuf, PathBuf)>) -> Self {
        self.more.extend(files);
        self
    }

    /// Boots a kernel with them, and runs a line of shell.
    pub(super) fn run(
        &self,
        kernel: &Kernel,
        line: &str,
        timeout: Duration,
        interrupt: &Interrupt,
    ) -> Result<Ended> {
        let directory = WorkDir::new()?;
        let image = directory.join("initramfs");
        self.pack(kernel, &directory.join("root"), &image, line)?;
        machine::boot(kernel, &image, &directory, timeout, interrupt)
    }

    fn pack(&self, kernel: &Kernel, root: &Path, image: &Path, line: &str) -> Result<()> {
        let context = || format!("could not lay out the guest's file system in {}", root.display());
        for directory in ["bin", "proc", "sys", "dev", "tmp", "run"] {
            fs::create_dir_all(root.join(directory)).with_context(context)?;
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists());
        let busybox = busybox.context("there is no busybox; the package busybox-static has it")?;
        fs::copy(busybox, root.join("bin/busybox")).with_context(context)?;
        fs::copy(&self.tests, root.join("bin/kernel-tests")).with_context(context)?;
        // The tests start the observer by the path that was compiled into them, and it starts the backend beside it.
        for program in [&self.observer, &self.backend] {
            let inside = root.join(program.strip_prefix("/").unwrap_or(program));
            fs::create_dir_all(inside.parent().unwrap_or(root)).with_context(context)?;
            fs::copy(program, &inside).with_context(context)?;
            let name = program.file_name().with_context(context)?;
            std::os::unix::fs::symlink(program, root.join("bin").join(name)).with_context(context)?;
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
        fs::write(root.join("init"), init(line)).with_context(context)?;
        exec::run(exec::command("chmod").arg("755").arg(root.join("init")))?;
        archive(root, image)
    }
}

/// Programs of this machine with their libraries: where they are here, and in the guest.
pub(super) fn with_libraries(names: &[&str]) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut files = Vec::new();
    for name in names {
        let path = PathBuf::from(exec::capture(exec::command("which").arg(name))?.trim());
        let libraries = exec::capture(exec::command("ldd").arg(&path))?;
        files.push((path, Path::new("/bin").join(name)));
        let absolute = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        files.extend(absolute.map(|library| (PathBuf::from(library), PathBuf::from(library))));
    }
    Ok(files)
}

/// Cargo for programs that need no libraries, in a directory of their own: other flags would make it build everything
/// anew each time.
fn static_cargo(toolchain: &BpfToolchain) -> Command {
    let mut cargo = workspace::cargo_with_bpf(toolchain);
    cargo
        .args(["build", "--profile", "guest", "--message-format=json-render-diagnostics", "--target", TARGET])
        .arg("--target-dir")
        .arg(workspace::target_dir().join("guest"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    cargo
}

/// The first process. All of the file system is in memory already, and nothing may be mounted over where the programs
/// lie. What the line writes goes to the second serial port, alone; the first belongs to the kernel.
fn init(line: &str) -> String {
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
         stty -F /dev/ttyS1 raw\n\
         exec > /dev/ttyS1 2>&1\n\
         echo {begun}\n\
         cd /tmp\n\
         {line}\n\
         echo \"{ended} $?\"\n\
         poweroff -f\n",
        begun = machine::BEGUN,
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
