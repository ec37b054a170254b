package io.espalier.cli;

import picocli.CommandLine.IVersionProvider;

import java.io.IOException;
import java.io.InputStream;
import java.util.Objects;
import java.util.Properties;

/** The versions of Espalier and of what it stands on. */
final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() throws IOException {
        var versions = new Properties();
        try (InputStream in = Version.class.getResourceAsStream("version.properties")) {
            versions.load(Objects.requireNonNull(in, "version.properties beside Version"));
        }
        return new String[] {
            "Espalier " + versions.getProperty("version"),
            "libtorch " + versions.getProperty("libtorch") + " (JavaCPP)",
            "Java "
                    + Runtime.version()
                    + ", "
                    + System.getProperty("os.name")
                    + " "
                    + System.getProperty("os.arch")
        };
    }
}
