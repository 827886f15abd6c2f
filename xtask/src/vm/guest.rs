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
    /// Takes them from what the tests of this machine are built of, so that nothing is built for the guest alone.
    pub(super) fn build(toolchain: &BpfToolchain) -> Result<Self> {
        let programs = artifacts::build_tests(toolchain, &[])?;
        let find =
            |what: &str, is_it: fn(&Program) -> bool| match programs.iter().find(|program| is_it(program)) {
                Some(program) => Ok(program.path.clone()),
                None => bail!("cargo built no {what}"),
            };
        let observer = find("program observer", |program| program.target == "observer" && !program.test)?;
        let backend =
            find("program demo-server", |program| program.target == "demo-server" && !program.test)?;
        let tests = find("kernel tests", |program| program.target == "kernel" && program.test)?;
        let mut more = Vec::new();
        for name in COMPARED_WITH {
            let path = PathBuf::from(exec::capture(exec::command("which").arg(name))?.trim());
            more.extend(libraries(&path)?);
            more.push((path, Path::new("/bin").join(name)));
        }
        for program in [&observer, &backend, &tests] {
            more.extend(libraries(program)?);
        }
        more.sort();
        more.dedup();
        Ok(Self { observer, tests, backend, more })
    }

    /// The observer, as it runs on this machine.
    pub(super) fn observer(&self) -> &Path {
        &self.observer
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
        Machine::boot(kernel, &image, directory, interrupt)
    }

    fn pack(&self, kernel: &Kernel, root: &Path, image: &Path) -> Result<()> {
        let context = || format!("could not lay out the guest's file system in {}", root.display());
        for directory in ["bin", "proc", "sys", "dev", "tmp", "run"] {
            fs::create_dir_all(root.join(directory)).with_context(context)?;
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists());
        let busybox = busybox.context("there is no busybox; the package busybox-static has it")?;
        fs::copy(busybox, root.join("bin/busybox")).with_context(context)?;
        stripped(&self.tests, &root.join("bin/kernel-tests"))?;
        // The tests start the observer by the path that was compiled into them, and it starts the backend beside it.
        for program in [&self.observer, &self.backend] {
            let inside = root.join(program.strip_prefix("/").unwrap_or(program));
            fs::create_dir_all(inside.parent().unwrap_or(root)).with_context(context)?;
            stripped(program, &inside)?;
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
        fs::write(root.join("init"), init()).with_context(context)?;
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
/// lie. Scripts come by the second serial port, and what they write goes there, alone; the first belongs to the kernel.
fn init() -> String {
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
         stty -F /dev/ttyS1 raw -echo\n\
         exec < /dev/ttyS1 > /dev/ttyS1 2>&1\n\
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
