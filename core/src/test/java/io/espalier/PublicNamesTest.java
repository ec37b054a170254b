package io.espalier;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;

import io.espalier.tensor.Internal;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What users meet of the library: its public types, and the names that these have. */
class PublicNamesTest {
    /** Packages that programs commonly import whole, besides ours. */
    private static final List<String> IMPORTED_WHOLE =
            List.of(
                    "java.lang",
                    "java.util",
                    "java.util.function",
                    "java.util.stream",
                    "java.io",
                    "java.nio.file",
                    "org.bytedeco.javacpp",
                    "org.bytedeco.pytorch");

    /** The field's own terms, which one import line tells apart; the guides show it. */
    private static final Set<String> TERMS =
            Set.of(
                    "Argument",
                    "Graph",
                    "Module",
                    "Node",
                    "Observer",
                    "Operator",
                    "PaddingMode",
                    "TensorDataset",
                    "TensorType",
                    "Value");

    /** Types that a shown program uses without naming them, as a result or an argument. */
    private static final Set<String> UNNAMED =
            Set.of(
                    "AdamSettings",
                    "Batches",
                    "ChannelScale",
                    "Comparison",
                    "Latency",
                    "LoadOptions",
                    "ModelInputs",
                    "OutputComparison",
                    "Recipe",
                    "SgdSettings",
                    "StoredTensor",
                    "TrainingResult");

    private static Stream<JavaClass> publicTypes() {
        return new ClassFileImporter()
                .withImportOption(new DoNotIncludeTests()).importPackages("io.espalier").stream()
                        .filter(type -> type.isTopLevelClass())
                        .filter(type -> type.getModifiers().contains(JavaModifier.PUBLIC));
    }

    private static boolean exists(String name) {
        try {
            Class.forName(name, false, PublicNamesTest.class.getClassLoader());
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    @Test
    @DisplayName("whoever imports our packages whole, and the usual others, meets no name twice")
    void noClashes() {
        var clashes = new TreeSet<String>();
        publicTypes()
                .map(JavaClass::getSimpleName)
                .filter(name -> !TERMS.contains(name))
                .forEach(name ->
                        IMPORTED_WHOLE.stream()
                                .map(other -> other + "." + name)
                                .filter(PublicNamesTest::exists)
                                .forEach(clashes::add));
        assertEquals(Set.of(), clashes);
        var twice =
                publicTypes()
                        .collect(Collectors.groupingBy(JavaClass::getSimpleName))
                        .entrySet()
                        .stream()
                        .filter(entry -> entry.getValue().size() > 1)
                        .map(entry -> entry.getKey())
                        .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(Set.of(), twice);
    }

    @Test
    @DisplayName("every public type is shown in a guide, an example or the README, or is internal")
    void everyTypeIsShown() throws IOException {
        Set<String> words = shownWords();
        var hidden =
                publicTypes()
                        .filter(type ->
                                !type.isAnnotatedWith(Internal.class)
                                        && !type.getPackage().isAnnotatedWith(Internal.class))
                        .map(JavaClass::getSimpleName)
                        .filter(name -> !words.contains(name) && !UNNAMED.contains(name))
                        .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(Set.of(), hidden);
    }

    private static Set<String> shownWords() throws IOException {
        Path root = Path.of("").toAbsolutePath().getParent();
        Set<String> words = new TreeSet<>();
        for (String place : List.of("README.md", "docs/guide", "examples")) {
            try (Stream<Path> files = Files.walk(root.resolve(place))) {
                for (Path file : (Iterable<Path>) files::iterator) {
                    String name = file.toString();
                    if (!name.contains("/target/")
                            && (name.endsWith(".md") || name.endsWith(".java"))) {
                        words.addAll(List.of(Files.readString(file).split("\\W+")));
                    }
                }
            }
        }
        return words;
    }
}
