//! Categories of frames: what a function, module or library is there for. Later rules see what earlier ones decided.

use super::{Facts, each, whole};

/// Parts of operating systems and standard libraries.
pub const PLATFORMS: &[Facts] = &[
    each(
        "family:native package",
        &["/System/Library/Frameworks/**", "C:/Windows/**", "/usr/lib/**"],
        "category=system",
    ),
    each("family:native function", &["memset", "memcpy", "__memcpy", "memcmp"], "category=system"),
    each(
        "family:native package",
        &[
            "CoreFoundation",
            "Foundation",
            "CFNetwork",
            "IOKit",
            "QuartzCore",
            "IOMobileFramebuffer",
            "libobjc*",
            "libsystem*",
            "/system/**",
            "/vendor/**",
        ],
        "category=system",
    ),
    each("module", &["dalvik.system.*", "com.android.*"], "category=system"),
    each("family:native package", &["libdispatch.dylib", "WebKit", "**/libart.so"], "category=system"),
];

/// Preinstalled and standard libraries.
pub const LIBRARIES: &[Facts] = &[
    each("package", &["/apex/com.android.*/lib*/**"], "category=system"),
    each("module", &["com.lenovo.lsf.*", "com.lenovo.payplus.*"], "category=system"),
    each("family:native function", &["boost::*", "std::*"], "category=std"),
    each(
        "module",
        &[
            "java.*",
            "com.google.crypto.*",
            "com.google.android.*",
            "javax.crypto.*",
            "android.database.*",
            "androidx.*",
            "android.*",
        ],
        "category=std",
    ),
    each("module", &["android.os.*"], "category=system"),
];

/// User interfaces, runtimes, sound, and what compilers generate.
pub const SURFACES: &[Facts] = &[
    each(
        "family:native package",
        &["UIKit", "UIKitCore", "SwiftUI", "AttributeGraph", "CoreAutoLayout", "GraphicsServices"],
        "category=ui",
    ),
    each("family:native function", &[r"-\[NSISEngine*"], "category=ui"),
    each(
        "module",
        &[
            "android.view.*",
            "android.text.*",
            "android.widget.*",
            "android.app.Dialog",
            "androidx.*.widget.*",
            "com.google.android.material.*",
        ],
        "category=ui",
    ),
    whole("category:ui function:handleMessage", "category=indirection"),
    whole("category:ui function:run", "category=indirection"),
    each("family:native function", &["art::jit::*"], "category=runtime"),
    each(
        "family:native package",
        &["/system/lib/libmedia.so", "/System/lib/libaudioclient.so", "AudioToolbox*", "libAudioToolboxUtility.dylib"],
        "category=av",
    ),
    each("family:native function", &["std::_*", "__swift_*", "block_destroy_helper*"], "category=internals"),
    whole("family:native function:*_block_invoke* app:no", "category=internals"),
];

/// Where threads begin.
pub const THREAD_BASES: &[Facts] = &[
    whole("family:native package:/usr/lib/system/** function:start", "category=threadbase"),
    whole("family:native package:libdyld.dylib function:start", "category=threadbase"),
    whole("family:native package:UIKitCore function:UIApplicationMain", "category=threadbase"),
    each(
        "family:native function",
        &[
            "wWinMain",
            "invoke_main",
            "BaseThreadInitThunk",
            "RtlUserThreadStart",
            "thread_start",
            "_pthread_start",
            "__pthread_start",
            "_pthread_body",
            "_dispatch_worker_thread2",
            "start_wqthread",
            "_pthread_wqthread",
            "boost::*::thread_proxy",
        ],
        "category=threadbase",
    ),
    whole(
        r#"family:native package:/usr/lib/system/libsystem_pthread.dylib function:"<unknown>""#,
        "category=threadbase",
    ),
    whole("module:android.os.AsyncTask* function:call", "category=threadbase"),
    whole("family:native package:UIKit function:UIApplicationMain", "category=threadbase"),
    whole("module:java.util.concurrent.ThreadPoolExecutor* function:runWorker", "category=threadbase"),
    whole("module:android.os.* function:call", "category=threadbase"),
    whole("module:android.app.ActivityThread function:main", "category=threadbase"),
    whole("module:android.view.View function:layout", "category=threadbase"),
    whole("module:android.os.Looper function:loop", "category=threadbase"),
    each(
        "family:native function",
        &["TppWorkerThread", "TppWorkpExecuteCallback", "RtlpTpWorkCallback"],
        "category=threadbase",
    ),
    whole("module:android.os.Handler function:dispatchMessage", "category=threadbase"),
    whole("module:android.os.Handler function:handleCallback", "category=threadbase"),
    whole("module:android.app.ActivityThread* function:handleMessage", "category=threadbase"),
];

/// Allocation, and calls that only lead to other calls.
pub const MEMORY_AND_INDIRECTION: &[Facts] = &[
    each("family:native package", &["**/libsystem_malloc.dylib"], "category=malloc"),
    each(
        "family:native function",
        &["malloc", "malloc_base", "RtlpAllocateHeapInternal", "std::*::allocator_traits*"],
        "category=malloc",
    ),
    each(
        "family:native function",
        &[
            "*::operator()*",
            "*<lambda>*",
            "destructor'",
            "__dynamic_cast",
            "boost::function*",
            "boost::_bi::*",
            "boost::detail::function::functor_manager*",
            "Array.subscript.*",
        ],
        "category=indirection",
    ),
    each("module", &["java.lang.reflect.*"], "category=indirection"),
    whole("module:java.lang.Class function:getMethod", "category=indirection"),
    each("module", &["androidx.work.impl.utils.ForceStopRunnable"], "category=indirection"),
    each("family:native function", &[r"*::\\{dtor\\}", "destructor'"], "category=dtor"),
];

/// Ends of processes, handlers of signals, and what throws.
pub const ENDINGS: &[Facts] = &[
    each(
        "family:native function",
        &["exit", "RtlExitUserProcess", "ExitProcessImplementation", "RtlExitUserThread"],
        "category=shutdown",
    ),
    each(
        "family:native function",
        &["RtlpExecuteHandlerForException", "_sigtramp", "DispatchHookW", "execute_onexit_table"],
        "category=handler",
    ),
    each(
        "family:native function",
        &[
            "abort",
            "raise",
            "std::terminate",
            "RtlExitUserThread",
            "TppRaiseInvalidParameter",
            "_CxxThrowException",
            "RaiseException",
            "RaiseComPlusException",
            "_CFThrowFormattedException",
            "objc_exception_throw",
            "AG::precondition_failure*",
        ],
        "category=throw",
    ),
];

/// Graphics: drivers, what frees, and what draws.
pub const DRIVERS: &[Facts] = &[
    each(
        "family:native package",
        &["C:/WINDOWS/system32/DriverStore/**", "/System/Library/Extensions/AppleIntel*GraphicsGLDriver.bundle/**"],
        "category=driver",
    ),
    each("family:native function", &["*CUDA*"], "category=driver"),
    each(
        "family:native package",
        &[
            "**/nvcuda.dll",
            "C:/Program Files/NVIDIA Corporation/**",
            "/System/Library/Extensions/GeForceGLDriver.bundle/**",
            "/System/Library/Extensions/AMDRadeon*/**",
            "/System/Library/PrivateFrameworks/GPUSupport.framework/**",
            "libGPUSupportMercury.dylib",
            "AGXGLDriver",
        ],
        "category=driver",
    ),
    each(
        "family:native function",
        &[
            "RtlFreeHeap",
            "RtlFreeUnicodeString",
            "std::_Deallocate",
            "free",
            "objc_release",
            "_swift_release_dealloc",
            "_CFRelease",
        ],
        "category=free",
    ),
    each(
        "family:native package",
        &[
            "C:/Windows/SYSTEM32/OPENGL32.dll",
            "/System/Library/Frameworks/OpenGL.framework/**",
            "OpenGLES",
            "GLEngine",
            "/system/lib/libEGL.so",
            "**/libGLES*.so",
            "**/libESXGLES*.so",
            "/system/lib/libskia.so",
            "/System/Library/Frameworks/OpenCL.framework/**",
        ],
        "category=gl",
    ),
];

/// Crash reporting, tracking, loading and locks.
pub const SERVICES: &[Facts] = &[
    whole(
        r#"family:native package:"/System/Library/PrivateFrameworks/GPUSupport.framework/**" function:gpusGenerateCrashLog*"#,
        "category=telemetry",
    ),
    each("family:native function", &["gpusKillClientExt", "crashpad::*"], "category=telemetry"),
    each("module", &["cn.gundam.sdk.*", "com.lenovo.payplus.analytics.*"], "category=telemetry"),
    each("package", &["**/libBugly.so"], "category=telemetry"),
    each("family:native function", &["dlopen", "dladdr", "ImageLoaderMachO::findClosestSymbol"], "category=load"),
    whole("family:native package:/system/lib/libnativeloader.so function:android::OpenNativeLibrary", "category=load"),
    whole("module:java.lang.System function:loadLibrary", "category=load"),
    whole("module:java.lang.Runtime function:loadLibrary*", "category=load"),
    each("family:native function", &["pthread_mutex_lock"], "category=lock"),
];
